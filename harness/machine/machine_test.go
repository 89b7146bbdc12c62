package machine

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kcatch/images"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
)

// needQEMU ends the test where there is no QEMU.
func needQEMU(t testing.TB) {
	t.Helper()
	_, err := exec.LookPath("qemu-system-x86_64")
	fixtures.Need(t, err == nil, "qemu-system-x86_64", installHint)
}

// start starts a machine that the test ends, in a run directory of its own, and checks that Close leaves nothing.
func start(t testing.TB, spec Spec) *Machine {
	t.Helper()
	needQEMU(t)
	base := shortDir(t)
	m, err := Start(t.Context(), spec, Options{Base: base, ConsoleLog: filepath.Join(t.TempDir(), "console.log")})
	if err != nil {
		t.Fatalf("%+v\n%s", err, blame.Detail(err))
	}
	t.Cleanup(func() { closeAll(t, m, base) })
	return m
}

func closeAll(t testing.TB, m *Machine, base string) {
	t.Helper()
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if err := m.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	select {
	case <-m.Exited():
	default:
		t.Error("QEMU runs after Close")
	}
	nothingLeft(t, base)
}

func nothingLeft(t testing.TB, base string) {
	t.Helper()
	left, err := os.ReadDir(base)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range left {
		t.Errorf("left behind: %s", e.Name())
	}
}

// shortDir is a directory for run directories. t.TempDir would be too long for sockets.
func shortDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/tmp", "kct-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// resume lets the machine run by the GDB stub, as it must be (see the package comment): "c", with its checksum.
func resume(t testing.TB, m *Machine) {
	t.Helper()
	if _, err := m.GDBConn().Write([]byte("+$c#63")); err != nil {
		t.Fatal(err)
	}
}

func TestStartedMachineStandsAtResetVector(t *testing.T) {
	for _, machine := range []string{"q35", "pc", "microvm"} {
		t.Run(machine, func(t *testing.T) {
			begin := time.Now()
			m := start(t, Spec{Machine: machine, CPUs: 1, Memory: 64 * mib})
			t.Logf("ready in %s; version %s", time.Since(begin), m.Version())
			status, err := m.Status(t.Context())
			if err != nil || status != "prelaunch" {
				t.Errorf("status %q, %v; want prelaunch", status, err)
			}
			cpus, err := m.CPUs(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(cpus) != 1 || cpus[0].PC() != 0xfffffff0 || cpus[0].RIP != 0xfff0 || cpus[0].Halted || cpus[0].InterruptsOn() {
				t.Errorf("vCPUs %+v, want one at the reset vector", cpus)
			}
			info, err := os.Stat(m.RAMPath())
			if err != nil || info.Size() != 64*mib {
				t.Errorf("RAM file: %v, %v; want 64 MiB", info, err)
			}
			// The stub is there and unused: "?" gets a stop reply, "+$T05thread:01;#07" in QEMU 7.2.
			if _, err := m.GDBConn().Write([]byte("$?#3f")); err != nil {
				t.Fatal(err)
			}
			var got []byte
			buf := make([]byte, 64)
			_ = m.GDBConn().SetReadDeadline(time.Now().Add(5 * time.Second))
			for !bytes.Contains(got, []byte("#")) {
				n, err := m.GDBConn().Read(buf)
				if err != nil {
					t.Fatalf("stub: %v after %q", err, got)
				}
				got = append(got, buf[:n]...)
			}
			if !bytes.HasPrefix(got, []byte("+$T")) {
				t.Errorf("stub says %q, want +$T…", got)
			}
		})
	}
}

func initramfs(t testing.TB, marker, run string) string {
	t.Helper()
	busybox, err := images.FindBusybox()
	fixtures.Need(t, err == nil, "busybox-static", "apt-get install busybox-static")
	data, err := images.Build(images.Spec{Busybox: busybox, Marker: marker, Run: run})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "initrd.cpio")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestBootToMarkerAndPowerOff(t *testing.T) {
	type boot struct{ machine, kernel, reason string }
	boots := []boot{{"q35", fixtures.Good61, "guest-shutdown"}, {"microvm", fixtures.Good61, "guest-reset"}}
	if !testing.Short() {
		boots = append(boots, boot{"pc", fixtures.Cloud61, "guest-shutdown"})
	}
	for _, c := range boots {
		t.Run(c.machine+"/"+c.kernel, func(t *testing.T) {
			k := fixtures.Find(t, c.kernel)
			marker := images.NewMarker()
			m := start(t, Spec{Machine: c.machine, Kernel: k.BzImage, Initrd: initramfs(t, marker, "(exit 7)"), Append: "console=ttyS0"})
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			begin := time.Now()
			resume(t, m)
			if err := m.Console().Wait(ctx, images.MarkerLine(marker)); err != nil {
				t.Fatalf("%v\n%s", err, m.Console().Tail(2000))
			}
			t.Logf("marker after %s", time.Since(begin))
			e, err := waitEvent(ctx, m, "SHUTDOWN")
			if err != nil {
				t.Fatalf("%v\n%s", err, m.Console().Tail(2000))
			}
			if !e.Guest || e.Reason != c.reason {
				t.Errorf("SHUTDOWN %+v, want guest and %s", e, c.reason)
			}
			if !m.Console().Contains(images.RunLine(marker, 7)) {
				t.Errorf("no run line:\n%s", m.Console().Tail(2000))
			}
			if status, err := m.Status(ctx); err != nil || status != "shutdown" {
				t.Errorf("status %q, %v; want shutdown: it must stand still", status, err)
			}
			if m.CPUTime() == 0 {
				t.Error("no CPU time")
			}
		})
	}
}

// A guest that has no console says in the kernel's log that it reached init.
func TestMarkerWithoutConsole(t *testing.T) {
	k := fixtures.Find(t, fixtures.Good61)
	marker := images.NewMarker()
	m := start(t, Spec{Kernel: k.BzImage, Initrd: initramfs(t, marker, ""), Append: "console=ttyS3"}) // there is none
	ram, err := os.ReadFile(m.RAMPath())
	if err != nil || bytes.Contains(ram, []byte(images.MarkerLine(marker))) {
		t.Fatalf("the marker's line is in RAM before the start; %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	resume(t, m)
	if e, err := waitEvent(ctx, m, "SHUTDOWN"); err != nil || e.Reason != "guest-shutdown" {
		t.Fatalf("%+v, %v", e, err)
	}
	if ram, err = os.ReadFile(m.RAMPath()); err != nil || !bytes.Contains(ram, []byte(images.MarkerLine(marker))) {
		t.Errorf("no marker in RAM; %v", err)
	}
	if m.Console().Contains(marker) {
		t.Errorf("this guest was to have no console:\n%s", m.Console().Tail(500))
	}
}

func waitEvent(ctx context.Context, m *Machine, name string) (Event, error) {
	for {
		select {
		case e, ok := <-m.Events():
			if !ok {
				return Event{}, errors.New("events ended")
			}
			if e.Name == name {
				return e, nil
			}
		case <-ctx.Done():
			return Event{}, errors.New("no event " + name + ": " + ctx.Err().Error())
		}
	}
}

func TestIcountAndLog(t *testing.T) {
	log := filepath.Join(t.TempDir(), "int.log")
	m := start(t, Spec{Memory: 16 * mib, Icount: "shift=auto", IntLog: log, Extra: []string{"-name", "a guest"}})
	if status, err := m.Status(t.Context()); err != nil || status != "prelaunch" {
		t.Errorf("status %q, %v", status, err)
	}
	if err := m.Quit(t.Context()); err != nil {
		t.Error(err)
	}
	if data, err := os.ReadFile(log); err != nil || !bytes.Contains(data, []byte("CPU Reset")) {
		t.Errorf("log of %d bytes, %v", len(data), err)
	}
}

func TestDumpIsELFCore(t *testing.T) {
	m := start(t, Spec{Memory: 16 * mib})
	path := filepath.Join(t.TempDir(), "core")
	if err := m.DumpGuestMemory(t.Context(), path); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || !bytes.HasPrefix(data, []byte("\x7fELF")) || len(data) < 16*mib {
		t.Errorf("core of %d bytes, %v", len(data), err)
	}
}

// A reply of more than 64 KiB, which go-qemu's reader cannot take.
func TestLongReply(t *testing.T) {
	m := start(t, Spec{Memory: 16 * mib})
	var schema []any
	if err := m.Execute(t.Context(), "query-qmp-schema", nil, &schema); err != nil || len(schema) < 100 {
		t.Errorf("schema of %d, %v", len(schema), err)
	}
	if _, err := m.Status(t.Context()); err != nil {
		t.Errorf("after a long reply: %v", err)
	}
}

func TestRefusals(t *testing.T) {
	needQEMU(t)
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, bytes.Repeat([]byte("no kernel\n"), 4096), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		spec Spec
		kind blame.Kind
		want string
	}{
		{"machine", Spec{Machine: "vax"}, blame.Usage, "unsupported machine type: vax"},
		{"cpu", Spec{CPUModel: "z80"}, blame.Usage, "unable to find CPU model 'z80'"},
		{"extra option", Spec{Extra: []string{"-nosuch"}}, blame.Usage, "-nosuch: invalid option"},
		{"extra device", Spec{Extra: []string{"-device", "nosuch"}}, blame.Usage, "'nosuch' is not a valid device model name"},
		{"no kernel", Spec{Kernel: "/nonexistent"}, blame.Usage, "/nonexistent"},
		{"not a kernel", Spec{Kernel: text}, blame.Usage, "invalid kernel header: " + text},
		{"no initrd", Spec{Kernel: text, Initrd: "/nonexistent"}, blame.Usage, ""},
		{"icount", Spec{Icount: "shift=purple"}, blame.Usage, ""},
		{"no qemu", Spec{QEMU: "qemu-system-vax"}, blame.Infrastructure, "not found"},
		{"no program", Spec{QEMU: text}, blame.Infrastructure, "not executable"},
		{"memory", Spec{Memory: 4097}, blame.Usage, "not a multiple of 1 MiB"},
		{"cpus", Spec{CPUs: -1}, blame.Usage, "want 1 to 255"},
		{"qemu is true", Spec{QEMU: "true"}, blame.Infrastructure, "ended without a word"},
	} {
		t.Run(c.name, func(t *testing.T) {
			base := shortDir(t)
			begin := time.Now()
			m, err := Start(t.Context(), c.spec, Options{Base: base})
			if err == nil {
				m.Close()
				t.Fatal("it started")
			}
			t.Logf("%v (%v, hint %q) after %s", err, blame.Of(err), blame.Hint(err), time.Since(begin))
			if blame.Of(err) != c.kind || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("error %q of kind %v, want %v with %q", err, blame.Of(err), c.kind, c.want)
			}
			nothingLeft(t, base)
		})
	}
}
