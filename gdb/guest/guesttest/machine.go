// Package guesttest boots a kernel under QEMU for the tests of the gdb rooms: it runs freely, its RAM is a shared
// file, and its registers come from the monitor, so that neither the stub client nor the harness is in play.
//
// It needs qemu-system-x86_64 (the test is skipped without it) and a kernel. It ends the QEMU it started with the test.
package guesttest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/internal/fixtures"
)

// Options is what to boot.
type Options struct {
	Kernel string // bzImage, or a PVH vmlinux
	Append string
	Memory uint64 // bytes; default 256 MiB
	CPUs   int    // default 1
}

// Machine is a running guest.
type Machine struct {
	RAM  *guest.RAM
	Argv []string

	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// Boot starts the guest and maps its RAM. The command line is that of an ordinary run: no -S, no breakpoints, KASLR
// as the kernel has it.
func Boot(t testing.TB, o Options) *Machine {
	t.Helper()
	qemu, err := exec.LookPath("qemu-system-x86_64")
	fixtures.Need(t, err == nil, "qemu-system-x86_64", "apt-get install qemu-system-x86")
	if o.Memory == 0 {
		o.Memory = 256 << 20
	}
	// Not t.TempDir: a unix socket's path has at most 108 bytes.
	dir, err := os.MkdirTemp("", "guest")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	ramFile, socket := filepath.Join(dir, "ram"), filepath.Join(dir, "q")
	mib := o.Memory >> 20
	m := &Machine{t: t}
	m.Argv = []string{
		qemu, "-machine", "q35,memory-backend=ram",
		"-object", fmt.Sprintf("memory-backend-file,id=ram,size=%dM,mem-path=%s,share=on", mib, ramFile),
		"-m", fmt.Sprint(mib), "-accel", "tcg", "-cpu", "qemu64", "-smp", fmt.Sprint(max(o.CPUs, 1)), "-nodefaults",
		"-no-user-config", "-display", "none", "-net", "none", "-serial", "null",
		"-action", "reboot=shutdown,shutdown=pause,panic=pause",
		"-qmp", "unix:" + socket + ",server=on,wait=off",
		"-kernel", o.Kernel, "-append", o.Append,
	}
	cmd := exec.Command(m.Argv[0], m.Argv[1:]...)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
	m.until("QEMU to listen", func() bool {
		m.conn, err = net.Dial("unix", socket)
		return err == nil
	}, &stderr)
	t.Cleanup(func() { m.conn.Close() })
	m.in = bufio.NewReader(m.conn)
	m.command("qmp_capabilities", nil)
	m.RAM, err = guest.OpenRAM(ramFile, guest.LayoutFor("q35", o.Memory))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { m.RAM.Close() })
	return m
}

// Find polls RAM until probe's kernel has settled.
func (m *Machine) Find(probe guest.Probe) guest.Placement {
	m.t.Helper()
	var placement guest.Placement
	m.until("the kernel in RAM", func() bool {
		p, match := guest.FindKernel(m.RAM, probe)
		placement = p
		return match == guest.SameBuild && p.Settled
	}, nil)
	return placement
}

// WaitDead polls until vCPU 0 is halted with interrupts off in the kernel's half of memory, and returns its registers.
func (m *Machine) WaitDead() amd64.Registers {
	m.t.Helper()
	var regs amd64.Registers
	m.until("vCPU 0 to halt", func() bool {
		text := m.Monitor("info registers")
		var halted bool
		regs, halted = ParseRegisters(text)
		return halted && !regs.InterruptsOn() && regs.RIP>>63 == 1
	}, nil)
	return regs
}

// Monitor gives the answer of one HMP command.
func (m *Machine) Monitor(line string) string {
	m.t.Helper()
	var text string
	if err := json.Unmarshal(m.command("human-monitor-command", map[string]string{"command-line": line}), &text); err != nil {
		m.t.Fatalf("monitor: %s: %v", line, err)
	}
	return text
}

const patience = 60 * time.Second

// until polls cond each 5 ms with a deadline that only a broken machine reaches.
func (m *Machine) until(what string, cond func() bool, evidence fmt.Stringer) {
	m.t.Helper()
	for end := time.Now().Add(patience); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			text := ""
			if evidence != nil {
				text = evidence.String()
			}
			m.t.Fatalf("waited %v for %s: %s\n%s", patience, what, text, strings.Join(m.Argv, " "))
		}
	}
}

// command sends one QMP command and skips events until its answer.
func (m *Machine) command(name string, arguments any) json.RawMessage {
	m.t.Helper()
	_ = m.conn.SetDeadline(time.Now().Add(patience))
	b, err := json.Marshal(map[string]any{"execute": name, "arguments": arguments})
	if err == nil && arguments == nil {
		b, err = json.Marshal(map[string]any{"execute": name})
	}
	if err != nil {
		m.t.Fatal(err)
	}
	if _, err := m.conn.Write(append(b, '\n')); err != nil {
		m.t.Fatalf("qmp: %s: %v", name, err)
	}
	for {
		line, err := m.in.ReadBytes('\n')
		if err != nil {
			m.t.Fatalf("qmp: %s: %v", name, err)
		}
		var reply struct {
			Return json.RawMessage
			Error  json.RawMessage
		}
		if err := json.Unmarshal(line, &reply); err != nil {
			m.t.Fatalf("qmp: %s: %v: %q", name, err, line)
		}
		if reply.Error != nil {
			m.t.Fatalf("qmp: %s: %s", name, reply.Error)
		}
		if reply.Return != nil {
			return reply.Return
		}
	}
}

var field = regexp.MustCompile(`\b([A-Z][A-Z0-9]*) *= *([0-9a-f]+)(?: +([0-9a-f]+))?`)

// ParseRegisters reads HMP "info registers" of a 64-bit vCPU, e.g. `RIP=ffffffff8105b298 RFL=00000046 [---Z-P-] CPL=0
// II=0 A20=1 SMM=0 HLT=1`, and whether it is halted.
func ParseRegisters(text string) (r amd64.Registers, halted bool) {
	num := func(s string) uint64 { v, _ := strconv.ParseUint(s, 16, 64); return v }
	set := map[string]*uint64{
		"RAX": &r.RAX, "RBX": &r.RBX, "RCX": &r.RCX, "RDX": &r.RDX, "RSI": &r.RSI, "RDI": &r.RDI, "RBP": &r.RBP,
		"RSP": &r.RSP, "R8": &r.R8, "R9": &r.R9, "R10": &r.R10, "R11": &r.R11, "R12": &r.R12, "R13": &r.R13,
		"R14": &r.R14, "R15": &r.R15, "RIP": &r.RIP, "RFL": &r.EFLAGS, "EIP": &r.RIP, "EFL": &r.EFLAGS,
		"CR0": &r.CR0, "CR2": &r.CR2, "CR3": &r.CR3, "CR4": &r.CR4, "EFER": &r.EFER,
	}
	segment := map[string]*uint16{"CS": &r.CS, "SS": &r.SS, "DS": &r.DS, "ES": &r.ES, "FS": &r.FS, "GS": &r.GS}
	for _, f := range field.FindAllStringSubmatch(text, -1) {
		if p := set[f[1]]; p != nil {
			*p = num(f[2])
		}
		if p := segment[f[1]]; p != nil {
			*p = uint16(num(f[2]))
		}
		switch f[1] {
		case "FS":
			r.FSBase = num(f[3])
		case "GS":
			r.GSBase = num(f[3])
		case "HLT":
			halted = f[2] == "1"
		}
	}
	return r, halted
}

// Physical is QEMU's own translation of a virtual address by vCPU 0's page tables.
func (m *Machine) Physical(va uint64) uint64 {
	m.t.Helper()
	text := strings.TrimSpace(m.Monitor(fmt.Sprintf("gva2gpa 0x%x", va)))
	pa, err := strconv.ParseUint(strings.TrimPrefix(text, "gpa: 0x"), 16, 64)
	if err != nil {
		m.t.Fatalf("gva2gpa 0x%x: %q", va, text)
	}
	return pa
}

var idt = regexp.MustCompile(`(?m)^IDT= *([0-9a-f]+)`)

// IDTBase is the base of vCPU 0's interrupt table.
func (m *Machine) IDTBase() uint64 {
	m.t.Helper()
	found := idt.FindStringSubmatch(m.Monitor("info registers"))
	if found == nil {
		m.t.Fatal("no IDT in info registers")
	}
	base, _ := strconv.ParseUint(found[1], 16, 64)
	return base
}
