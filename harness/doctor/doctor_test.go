package doctor

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/gdb/vmlinux"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
	"kcatch/kernels"
)

// healthy are the facts of a machine that has everything.
func healthy() Facts {
	return Facts{
		Tools: []kernels.Tool{
			{Name: "make", Package: "make", Found: true}, {Name: "gcc", Package: "gcc", Found: true}, {Name: "gelf.h", Package: "libelf-dev", Header: true, Found: true},
			{Name: "pahole", Package: "dwarves", Found: true, For: "configurations with BTF", Optional: true},
		},
		Compiler: "gcc 12", Apt: true, User: "u",
		QEMU:    machine.Emulator{Path: "/usr/bin/qemu", Version: "7.2.22 (Debian)", Machines: []string{"microvm", "pc", "q35"}, Accels: []string{"tcg", "kvm"}},
		KVM:     machine.Choice{Accel: machine.KVM, Reason: "KVM: a test guest ran"},
		Busybox: "/bin/busybox", CacheDir: "/cache", Free: 50 << 30, FreeKnown: true, Sources: 1,
		Extras: map[string]bool{"gdb": true, "drgn": true},
		Kernel: &Kernel{
			Path: "vmlinux", Release: "6.1.9", DWARF: 5, DebugFrame: true, Symbols: "symtab", PVH: true, Moves: true, ConfigFrom: "the image itself",
			Option: func(string) string { return "y" },
		},
	}
}

func options(values map[string]string) func(string) string {
	return func(symbol string) string {
		if v, ok := values[symbol]; ok {
			return v
		}
		return "y"
	}
}

func TestJudgeOfAHealthyMachine(t *testing.T) {
	f := healthy()
	f.Kernel.Option = options(map[string]string{"DEBUG_INFO_REDUCED": "n"})
	d := Judge(f)
	for _, c := range d.Checks {
		if c.Status != verdict.Healthy || c.Fix != "" || c.Packages != nil || c.Text == "" {
			t.Errorf("%+v", c)
		}
	}
	if d.ExitCode() != 0 || d.OK != len(d.Checks) || d.OK < 18 || d.Packages() != nil {
		t.Errorf("%+v", d)
	}
}

// TestJudge: each thing that may be wrong is told alone, with its weight and the command that mends it.
func TestJudge(t *testing.T) {
	option := func(symbol, value string) func(*Facts) {
		return func(f *Facts) {
			f.Kernel.Option = options(map[string]string{"DEBUG_INFO_REDUCED": "n", symbol: value})
		}
	}
	for _, c := range []struct {
		name, check string
		spoil       func(*Facts)
		status      verdict.Health
		text, fix   string
	}{
		{"no compiler", "gcc", func(f *Facts) { f.Tools[1].Found = false }, verdict.Ill, "not installed", "sudo apt-get install --no-install-recommends gcc"},
		{"no compiler, root", "gcc", func(f *Facts) { f.Tools[1].Found, f.Root = false, true }, verdict.Ill, "not installed", "apt-get install --no-install-recommends gcc"},
		{"a compiler nobody packages", "gcc", func(f *Facts) { f.Tools[1].Found, f.Tools[1].Package = false, "" }, verdict.Ill, "not installed", ""},
		{"no header", "libelf-dev", func(f *Facts) { f.Tools[2].Found = false }, verdict.Ill, "gelf.h is missing", "sudo apt-get install --no-install-recommends libelf-dev"},
		{"no pahole", "pahole", func(f *Facts) { f.Tools[3].Found = false }, verdict.Ailing, "for configurations with BTF", "sudo apt-get install --no-install-recommends dwarves"},
		{"no apt, no source", "sources", func(f *Facts) { f.Apt, f.Sources = false, 0 }, verdict.Ailing, "name a TREE", ""},
		{"no qemu", "qemu", func(f *Facts) { f.QEMUError = blame.New(blame.Infrastructure, "start qemu: x: not found", "") }, verdict.Ill, "not found",
			"sudo apt-get install --no-install-recommends qemu-system-x86"},
		{"an old qemu", "qemu", func(f *Facts) { f.QEMU.Version = "5.2.0 (Debian)" }, verdict.Ill, "7.0 or later", "sudo apt-get install --no-install-recommends qemu-system-x86"},
		{"a young qemu", "qemu", func(f *Facts) { f.QEMU.Version = "11.0.0" }, verdict.Healthy, "11.0.0", ""},
		{"a mute qemu", "qemu", func(f *Facts) { f.QEMU.Version = "" }, verdict.Ailing, "does not say its version", ""},
		{"no q35", "machines", func(f *Facts) { f.QEMU.Machines = []string{"pc", "microvm"} }, verdict.Ill, "no machine q35", "sudo apt-get install --no-install-recommends qemu-system-x86"},
		{"no microvm", "machines", func(f *Facts) { f.QEMU.Machines = []string{"pc", "q35"} }, verdict.Ailing, "does not have microvm", ""},
		{"no tcg", "tcg", func(f *Facts) { f.QEMU.Accels = []string{"kvm"} }, verdict.Ailing, "without TCG", "sudo apt-get install --no-install-recommends qemu-system-x86"},
		{"no permission", "kvm", kvm("no permission for /dev/kvm (is the user in the group kvm?)", ""), verdict.Ailing, "no permission", "sudo adduser u kvm"},
		{"no module, Intel", "kvm", kvm("/dev/kvm does not exist", "vmx"), verdict.Ailing, "does not exist", "sudo modprobe kvm_intel"},
		{"no module, AMD", "kvm", kvm("/dev/kvm does not exist", "svm"), verdict.Ailing, "does not exist", "sudo modprobe kvm_amd"},
		{"no KVM in the CPU", "kvm", kvm("/dev/kvm does not exist", ""), verdict.Ailing, "does not exist", ""},
		{"KVM lies", "kvm", kvm("/dev/kvm opens, but a test guest did not run in 2s", "vmx"), verdict.Ailing, "did not run", ""},
		{"the probe failed", "kvm", func(f *Facts) { f.KVMError = errors.New("probe accelerator: no room") }, verdict.Ailing, "no room", ""},
		{"no replay", "replay", func(f *Facts) { f.Replay = "record: not supported" }, verdict.Ailing, "record: not supported", ""},
		{"replay not tried", "replay", func(f *Facts) { f.ReplayErr = errors.New("no room") }, verdict.Ailing, "no room", ""},
		{"no busybox", "busybox", func(f *Facts) {
			f.BusyboxError = blame.New(blame.Infrastructure, "build initramfs: busybox: dynamically linked", "")
		}, verdict.Ill, "dynamically linked", "sudo apt-get install --no-install-recommends busybox-static"},
		{"a full disk", "disk", func(f *Facts) { f.Free = 100 << 20 }, verdict.Ill, "0.1 GB free at /cache", "kcatch cache prune --older 7d"},
		{"little room, nothing there yet", "disk", func(f *Facts) { f.Free, f.Sources = 2<<30, 0 }, verdict.Ill, "takes about 3.0 GB", "kcatch cache prune --older 7d"},
		{"little room", "disk", func(f *Facts) { f.Free = 2 << 30 }, verdict.Ailing, "2.0 GB free", "kcatch cache prune --older 7d"},
		{"room unknown", "disk", func(f *Facts) { f.FreeKnown = false }, verdict.Ailing, "cannot be told", ""},
		{"a large cache", "cache", func(f *Facts) { f.CacheBytes = 100 << 30 }, verdict.Ailing, "100.0 GB in the cache", "kcatch cache prune --older 30d"},
		{"no cache", "cache", func(f *Facts) {
			f.CacheError = blame.New(blame.Infrastructure, "cache: no home", "set XDG_CACHE_HOME or HOME")
		}, verdict.Ill, "no home", "set XDG_CACHE_HOME or HOME"},
		{"no drgn", "drgn", func(f *Facts) { f.Extras["drgn"] = false }, verdict.Ailing, "for reading a vmcore", "sudo apt-get install --no-install-recommends python3-drgn"},

		{"no kernel", "vmlinux", func(f *Facts) { f.Kernel.Release, f.Kernel.ConfigFrom = "", "" }, verdict.Ailing, "may be no kernel; its configuration is not known", ""},
		{"no DWARF", "vmlinux.dwarf", func(f *Facts) { f.Kernel.DWARF = 0 }, verdict.Ailing, "no lines", "scripts/config --enable DEBUG_INFO_DWARF5 && make olddefconfig"},
		{"reduced", "vmlinux.dwarf", option("DEBUG_INFO_REDUCED", "y"), verdict.Ailing, "reduced", "scripts/config --disable DEBUG_INFO_REDUCED && make olddefconfig"},
		{"no .debug_frame", "vmlinux.dwarf", func(f *Facts) { f.Kernel.DebugFrame = false }, verdict.Ailing, "without .debug_frame", ""},
		{"no ORC", "vmlinux.orc", func(f *Facts) {
			f.Kernel.ORC = vmlinux.ErrNoORC
			option("UNWINDER_ORC", "n")(f)
		}, verdict.Ailing, "frames come from .debug_frame", "scripts/config --enable UNWINDER_ORC && make olddefconfig"},
		{"ORC stripped", "vmlinux.orc", func(f *Facts) { f.Kernel.ORC = vmlinux.ErrNoORC }, verdict.Ailing, "this file has not", ""},
		{"ORC broken", "vmlinux.orc", func(f *Facts) { f.Kernel.ORC = errors.New("section .orc_unwind: odd") }, verdict.Ailing, "odd", ""},
		{"no kallsyms", "vmlinux.kallsyms", option("KALLSYMS", "n"), verdict.Ailing, "nothing has a name", "scripts/config --enable KALLSYMS && make olddefconfig"},
		{"functions only", "vmlinux.kallsyms", option("KALLSYMS_ALL", "n"), verdict.Ailing, "functions only", "scripts/config --enable KALLSYMS_ALL && make olddefconfig"},
		{"stripped", "vmlinux.kallsyms", func(f *Facts) { f.Kernel.Symbols = "kallsyms" }, verdict.Ailing, "stripped", ""},
		{"no symbols", "vmlinux.kallsyms", func(f *Facts) { f.Kernel.Symbols = "" }, verdict.Ailing, "no symbols", "scripts/config --enable KALLSYMS && make olddefconfig"},
		{"no PVH", "vmlinux.pvh", func(f *Facts) { f.Kernel.PVH = false }, verdict.Ailing, "no PVH entry", "scripts/config --enable PVH && make olddefconfig"},
		{"no KASLR", "vmlinux.kaslr", option("RANDOMIZE_BASE", "n"), verdict.Healthy, "no KASLR; relocatable", ""},
		{"no KASLR, by symbols", "vmlinux.kaslr", func(f *Facts) { f.Kernel.Moves, f.Kernel.Option = false, func(string) string { return "" } }, verdict.Healthy, "no KASLR", ""},
		{"no initrd", "vmlinux.blk_dev_initrd", option("BLK_DEV_INITRD", "n"), verdict.Ailing, "init is never reached", "scripts/config --enable BLK_DEV_INITRD && make olddefconfig"},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := healthy()
			option("", "")(&f)
			c.spoil(&f)
			d := Judge(f)
			i := slices.IndexFunc(d.Checks, func(k verdict.DoctorCheck) bool { return k.Name == c.check })
			if i < 0 {
				t.Fatalf("no check %s: %+v", c.check, d.Checks)
			}
			got := d.Checks[i]
			if got.Status != c.status || !strings.Contains(got.Text, c.text) || got.Fix != c.fix || strings.Contains(got.Fix, "apt-get") != (got.Packages != nil) {
				t.Errorf("%+v\nwant %s, %q, fix %q", got, c.status, c.text, c.fix)
			}
			if d.OK+d.Warnings+d.Errors != len(d.Checks) || (d.ExitCode() == 1) != (c.status == verdict.Ill) {
				t.Errorf("exit %d, %d ok, %d warnings, %d errors", d.ExitCode(), d.OK, d.Warnings, d.Errors)
			}
			for j, k := range d.Checks { // nothing else is wrong
				if j != i && k.Status != verdict.Healthy {
					t.Errorf("too: %+v", k)
				}
			}
		})
	}
}

func kvm(reason, has string) func(*Facts) {
	return func(f *Facts) {
		f.KVM, f.CPUHas = machine.Choice{Accel: machine.TCG, Reason: "KVM: " + reason + "; using TCG"}, has
	}
}

func TestWithoutAKernel(t *testing.T) {
	f := healthy()
	f.Kernel = nil
	for _, c := range Judge(f).Checks {
		if strings.HasPrefix(c.Name, "vmlinux") {
			t.Errorf("%+v", c)
		}
	}
}

// TestReadKernel: what readelf -n, nm and the .config say of the tiny kernel.
func TestReadKernel(t *testing.T) {
	k, err := readKernel(fixtures.Find(t, fixtures.Good61).Vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	if k.DWARF != 5 || !k.DebugFrame || k.ORC != nil || k.Symbols != "symtab" || !k.PVH || !k.Moves || !strings.HasPrefix(k.Release, "6.1.") {
		t.Errorf("%+v", k)
	}
	if filepath.Base(k.ConfigFrom) != "config" || k.Option("RANDOMIZE_BASE") != "y" || k.Option("IKCONFIG") != "n" || k.Option("NO_SUCH") != "n" {
		t.Errorf("configuration from %q", k.ConfigFrom)
	}
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no kernel"), 0o644); err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable() // an ELF file with symbols and DWARF
	if err != nil {
		t.Fatal(err)
	}
	if _, err := readKernel(self); err == nil || !strings.Contains(err.Error(), "is no kernel") {
		t.Errorf("a program: %v", err)
	}
	for _, name := range []string{text, text + ".not", "/", self} {
		if _, err := readKernel(name); blame.Of(err) != blame.Usage {
			t.Errorf("%s: %v", name, err)
		}
	}
}
