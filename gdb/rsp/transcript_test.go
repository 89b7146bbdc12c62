package rsp_test

import (
	"debug/elf"
	"encoding/binary"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/rsp"
	"kcatch/gdb/rsp/rsptest"
	"kcatch/internal/fixtures"
)

var record = flag.Bool("record", false, "write testdata/*.rsp from the installed QEMU")

// TestTranscripts runs every scenario on what QEMU said when it was recorded.
func TestTranscripts(t *testing.T) {
	if *record {
		return // the live runs are writing what this would read
	}
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			c := rsp.New(rsptest.Replay(t, "testdata/"+s.name+".rsp"), s.opt)
			t.Cleanup(func() { _ = c.Close() })
			s.run(t, testContext(t), c)
		})
	}
}

// TestLive runs every scenario on the installed QEMU, and with -record writes the transcripts.
func TestLive(t *testing.T) {
	for _, s := range scenarios {
		t.Run(s.name, func(t *testing.T) {
			conn, header := launch(t, s.args...)
			if *record {
				conn = rsptest.Record(t, conn, "testdata/"+s.name+".rsp", header)
			}
			c := rsp.New(conn, s.opt)
			t.Cleanup(func() { _ = c.Close() })
			s.run(t, testContext(t), c)
		})
	}
}

// launch starts QEMU, stopped at reset, with the ROM of testdata/rom.s, and connects to its stub.
func launch(t testing.TB, args ...string) (conn net.Conn, header string) {
	t.Helper()
	rom := filepath.Join(t.TempDir(), "rom")
	if err := os.WriteFile(rom, romImage(t), 0o600); err != nil {
		t.Fatal(err)
	}
	return start(t, append([]string{"-m", "64"}, args...), "-bios", rom)
}

// start starts QEMU with args, which the header of a recording shows, and more, which it does not.
func start(t testing.TB, args []string, more ...string) (conn net.Conn, header string) {
	t.Helper()
	qemu, err := exec.LookPath("qemu-system-x86_64")
	fixtures.Need(t, err == nil, "qemu-system-x86_64", "apt-get install qemu-system-x86")
	dir, err := os.MkdirTemp("", "rsp") // short: a socket's path has 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	argv := append([]string{"-machine", "q35,accel=tcg", "-nodefaults", "-display", "none", "-S"}, args...)
	header = recordHeader(qemu, argv)
	socket := filepath.Join(dir, "gdb")
	cmd := exec.Command(qemu, append(append(argv, "-gdb", "unix:"+socket+",server=on,wait=off"), more...)...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		_ = cmd.Wait()
		close(gone)
	}()
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-gone
	})
	for {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return conn, header
		}
		select {
		case <-gone:
			t.Fatalf("%s ended: %s", strings.Join(cmd.Args, " "), stderr.String())
		case <-testContext(t).Done():
			t.Fatalf("%s: %v", strings.Join(cmd.Args, " "), err)
		case <-time.After(5 * time.Millisecond):
		}
	}
}

// TestLiveAttach connects to a guest that runs: QEMU pauses it, and 7.2 says so unasked.
func TestLiveAttach(t *testing.T) {
	conn, _ := launch(t)
	ctx := testContext(t)
	c := rsp.New(conn, rsp.Options{})
	must(t, c.Handshake(ctx))
	must(t, c.Detach(ctx)) // resumes
	conn, err := net.Dial("unix", conn.RemoteAddr().String())
	must(t, err)
	c = rsp.New(conn, rsp.Options{})
	t.Cleanup(func() { _ = c.Close() })
	must(t, c.Handshake(ctx))
	if text, err := c.Monitor(ctx, "info status"); err != nil || text != "VM status: paused\r\n" {
		t.Errorf("status after attach: %q, %v", text, err)
	}
	runTo(t, ctx, c, romLeaf)
}

// TestLiveKernel takes the kernel that dies of kernels/patches/pgflags-refcount by PVH to its early_fixup_exception.
func TestLiveKernel(t *testing.T) {
	k := fixtures.Find(t, fixtures.Seed61)
	f, err := elf.Open(k.Vmlinux)
	must(t, err)
	defer f.Close()
	symbols, err := f.Symbols()
	must(t, err)
	var fixup elf.Symbol
	for _, s := range symbols {
		if s.Name == "early_fixup_exception" {
			fixup = s
		}
	}
	conn, _ := start(t, []string{"-m", "256"}, "-kernel", k.Vmlinux)
	ctx := testContext(t)
	c := rsp.New(conn, rsp.Options{})
	t.Cleanup(func() { _ = c.Close() })
	must(t, c.Handshake(ctx))
	stop := runTo(t, ctx, c, fixup.Value) // not mapped when it is inserted
	r, err := c.Registers(ctx, stop.Thread)
	must(t, err)
	if r.RSI != uint64(amd64.InvalidOpcode) || r.InterruptsOn() || !r.Long() {
		t.Errorf("trapnr %d, want 6; eflags 0x%x", r.RSI, r.EFLAGS)
	}
	// pt_regs.ip, at 128 (arch/x86/include/asm/ptrace.h), points at a ud2.
	var ip [8]byte
	_, err = c.ReadMemory(ctx, ip[:], r.RDI+128)
	must(t, err)
	var code [2]byte
	_, err = c.ReadMemory(ctx, code[:], binary.LittleEndian.Uint64(ip[:]))
	must(t, err)
	if code != [2]byte{0x0f, 0x0b} {
		t.Errorf("code at %x: %x, want ud2", ip, code)
	}
}

// TestLiveRaces: many runs with a stop and an interrupt that race each other end as one of the two, and in step.
func TestLiveRaces(t *testing.T) {
	conn, _ := launch(t, "-smp", "2")
	ctx := testContext(t)
	c := rsp.New(conn, rsp.Options{})
	t.Cleanup(func() { _ = c.Close() })
	must(t, c.Handshake(ctx))
	runTo(t, ctx, c, romLoop)
	must(t, c.Insert(ctx, rsp.Breakpoint{Kind: rsp.Hardware, Addr: romLeaf}))
	for i := range 100 {
		if _, err := c.StepOver(ctx, cpu0); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
		must(t, c.Continue(ctx))
		stop, err := c.Interrupt(ctx)
		if err != nil || stop.Reason() != rsp.ReasonPaused && stop.Reason() != rsp.ReasonBreak {
			t.Fatalf("round %d: %q, %v", i, stop.Raw, err)
		}
		if _, err := c.Registers(ctx, cpu0); err != nil {
			t.Fatalf("round %d: %v", i, err)
		}
	}
}

func recordHeader(qemu string, argv []string) string {
	version, err := exec.Command(qemu, "--version").Output()
	if err != nil {
		version = []byte(err.Error())
	}
	first, _, _ := strings.Cut(string(version), "\n")
	return fmt.Sprintf("recorded: %s, qemu-system-x86_64 %s -bios ROM -gdb unix:..., rom.s, %s\n",
		first, strings.Join(argv, " "), time.Now().UTC().Format(time.DateOnly))
}

// romImage is rom.bin at the bottom of 64 KiB, with a jump to it at the reset vector.
func romImage(t testing.TB) []byte {
	t.Helper()
	code, err := os.ReadFile("testdata/rom.bin")
	if err != nil {
		t.Fatal(err)
	}
	rom := make([]byte, 64<<10)
	copy(rom, code)
	copy(rom[resetRIP:], []byte{0xea, 0, 0, 0, 0xf0}) // ljmp $0xf000, $0
	return rom
}
