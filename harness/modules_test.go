package harness

import (
	"bytes"
	"context"
	"debug/elf"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/harness/autopsy"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
	"kcatch/internal/ko"
)

// TestModulesLoad: Debian's kernels with all of their modules in our initramfs; what is asked for is loaded, with what it
// needs.
func TestModulesLoad(t *testing.T) {
	t.Parallel()
	for _, name := range []string{fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			k := fixtures.Find(t, name)
			fixtures.Need(t, k.Modules != "", "the modules of "+name, "make fixtures")
			p := plan(t, k)
			p.Modules, p.Run = k.Modules, "modprobe loop && modprobe xfs && lsmod"
			r := boots(t, p)
			console := strings.Join(r.Console, "\n")
			if r.Verdict != verdict.Good || !strings.Contains(console, "libcrc32c") || !strings.Contains(console, "loop ") {
				t.Errorf("verdict %s: %s\n%s", r.Verdict, r.Summary, console)
			}
			if len(r.Details) != 2 || !strings.HasPrefix(r.Details[1], "--run exited with 0") {
				t.Errorf("details %q", r.Details)
			}
		})
	}
}

// TestModuleFaults: a module that faults is named, symbolized and unwound like the kernel itself, while its init function is
// on the stack and later, when .init.text is gone. The oracle for its functions and lines is addr2line on the .ko. A boot of Debian's
// kernel takes seconds: a WARN, which it survives, comes before another fault in the same boot.
func TestModuleFaults(t *testing.T) {
	t.Parallel()
	const (
		atOnce = "modprobe kcatch_mod fault=null-write"
		warn   = "modprobe kcatch_mod; echo warn >/sys/module/kcatch_mod/parameters/trigger; "
	)
	store := []string{"kcatch_mod_store_outer", "kcatch_mod_null_write"}
	const initChain = "kcatch_mod_fault kcatch_mod_init do_one_initcall do_init_module do_syscall_64"
	for _, tc := range []struct {
		kernel, fault, run string
		class              verdict.Class
		function           string
		inlined            []string
		chain              string
		vector             int
	}{
		{fixtures.Cloud61, "null-write", atOnce, verdict.Oops, "kcatch_mod_store_inner", store, initChain, 14},
		{fixtures.Cloud61, "null-call", "modprobe kcatch_mod fault=null-call", verdict.Oops, "kcatch_mod_null_call", nil, initChain, 14},
		{fixtures.Cloud61, "bug", warn + "echo bug >/sys/module/kcatch_mod/parameters/trigger", verdict.Bug, "kcatch_mod_bug", nil,
			"kcatch_mod_fault kcatch_mod_trigger param_attr_store vfs_write do_syscall_64", 6},
		// On 6.12 one of each way: what differs between the two kernels is how a module is found and loaded. The second time it is elsewhere.
		{fixtures.Cloud612, "null-write", warn + "rmmod kcatch_mod; " + atOnce, verdict.Oops, "kcatch_mod_store_inner", store, initChain, 14},
	} {
		t.Run(tc.kernel+"/"+tc.fault, func(t *testing.T) {
			k := fixtures.Find(t, tc.kernel)
			fixtures.Need(t, k.FaultyModules != "", "the faulty module of "+tc.kernel, "make fixtures")
			p := plan(t, k)
			p.Modules, p.Run = k.FaultyModules, tc.run
			p.Values = autopsy.ValueOptions{Args: true}
			r := boots(t, p)
			if r.Class != tc.class || r.Stage != verdict.Userspace {
				t.Fatalf("class %s, stage %s: %s", r.Class, r.Stage, r.Summary)
			}
			if c := r.Cause; c == nil || c.Function != tc.function || c.Module != "kcatch_mod" || !slices.Equal(c.InlinedInto, append([]string{}, tc.inlined...)) ||
				c.Exception == nil || c.Exception.Vector != tc.vector {
				t.Fatalf("cause %+v", r.Cause)
			}
			if tc.class == verdict.Bug && (r.Cause.Bug == nil || filepath.Base(r.Cause.Bug.File) != "kcatch_mod.c" || r.Cause.Bug.Line != r.Cause.Line) {
				t.Errorf("bug table: %+v", r.Cause.Bug)
			}
			if tc.fault == "null-write" && (r.Cause.Access == "" || !strings.Contains(r.Cause.Instruction, "0x30(")) {
				t.Errorf("instruction %q, access %q", r.Cause.Instruction, r.Cause.Access)
			}
			moduleChain(t, k, r, tc.fault, tc.chain)
			if !strings.HasPrefix(tc.run, warn) {
				return
			}
			if len(r.Warnings) != 1 || len(r.Warnings[0].Frames) == 0 || !strings.Contains(r.Warnings[0].Summary, "WARN in kcatch_mod_warn() [kcatch_mod]") {
				t.Fatalf("warnings %+v", r.Warnings)
			}
			r.Warnings[0].Frames[0].Cause = true
			r.CPUs = []verdict.CPU{{Frames: r.Warnings[0].Frames}}
			moduleChain(t, k, r, "warn", "kcatch_mod_fault kcatch_mod_trigger param_attr_store")
		})
	}
}

// moduleChain checks the chain of a fault of the module: its functions, what the module was told, and its lines.
func moduleChain(t *testing.T, k fixtures.Kernel, r verdict.Result, fault, chain string) {
	t.Helper()
	hasChain(t, r, chain)
	named := fmt.Sprintf(`"%s`, fault) // what the module was told
	if !slices.ContainsFunc(r.CPUs[0].Frames, func(f verdict.Frame) bool {
		return f.Function == "kcatch_mod_fault" && len(f.Args) == 1 && f.Args[0].Name == "fault" && strings.Contains(f.Args[0].Value, named)
	}) {
		for _, f := range r.CPUs[0].Frames {
			t.Logf("%s %+v", f.Function, f.Args)
		}
		t.Errorf("kcatch_mod_fault was not called with %s", named)
	}
	moduleOracle(t, filepath.Join(k.FaultyModules, "kcatch_mod.ko"), r.CPUs[0].Frames)
}

// moduleOracle compares the frames of a module with what addr2line says of the same place in its .ko, by section.
func moduleOracle(t *testing.T, path string, frames []verdict.Frame) {
	t.Helper()
	tool, err := exec.LookPath("addr2line")
	fixtures.Need(t, err == nil, "addr2line", "make test-deps")
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	for i := 0; i < len(frames); i++ {
		if frames[i].Module == "" {
			continue
		}
		first := i
		for frames[i].Inline {
			i++
		}
		owner := frames[i]
		name := owner.Function
		if owner.Symbol != "" { // kcatch_mod_fault.cold
			name = owner.Symbol
		}
		at := slices.IndexFunc(symbols, func(s elf.Symbol) bool { return s.Name == name })
		if at < 0 {
			t.Fatalf("no symbol %s", name)
		}
		addr := symbols[at].Value + owner.Offset
		if owner.FoundBy != "registers" && owner.FoundBy != "regs" {
			addr--
		}
		section := f.Sections[symbols[at].Section].Name
		out, err := exec.Command(tool, "-fi", "-j", section, "-e", path, fmt.Sprintf("0x%x", addr)).Output()
		if err != nil {
			t.Fatal(err)
		}
		var got bytes.Buffer
		for _, fr := range frames[first : i+1] {
			fmt.Fprintf(&got, "%s\n%s:%d\n", fr.Function, fr.File, fr.Line)
			asked++
		}
		var want bytes.Buffer
		for line := range strings.Lines(string(out)) {
			place, _, _ := strings.Cut(strings.TrimSpace(line), " (discriminator")
			fmt.Fprintln(&want, strings.TrimPrefix(place, filepath.Dir(path)+"/"))
		}
		if got.String() != want.String() {
			t.Errorf("%s+0x%x is\n%saddr2line says\n%s", section, addr, &got, &want)
		}
	}
	if asked == 0 {
		t.Error("no frame is in a module")
	}
}

// TestModuleWithoutLines: a stripped module still has names, and says why it has no lines.
func TestModuleWithoutLines(t *testing.T) {
	t.Parallel()
	k := fixtures.Find(t, fixtures.Cloud61)
	fixtures.Need(t, k.FaultyModules != "", "the faulty module of "+k.Name, "make fixtures")
	data, err := os.ReadFile(filepath.Join(k.FaultyModules, "kcatch_mod.ko"))
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "kcatch_mod.ko"), ko.Strip(data), 0o644); err != nil {
		t.Fatal(err)
	}
	p := plan(t, k)
	p.Modules, p.Run = dir, "modprobe kcatch_mod fault=null-write"
	r := boots(t, p)
	if c := r.Cause; r.Class != verdict.Oops || c == nil || c.Function != "kcatch_mod_null_write" || c.Module != "kcatch_mod" || c.Line != 0 {
		t.Fatalf("%s, cause %+v", r.Summary, r.Cause)
	}
	hasChain(t, r, "kcatch_mod_fault kcatch_mod_init do_one_initcall")
	for _, f := range r.CPUs[0].Frames {
		if f.Module != "" && (f.Reason != "no .ko with debug information" || f.Size == 0) {
			t.Errorf("frame %+v", f)
		}
	}
}

// TestModulesOfAnother: modules of another release are refused before anything is started.
func TestModulesOfAnother(t *testing.T) {
	k, other := fixtures.Find(t, fixtures.Cloud61), fixtures.Find(t, fixtures.Cloud612)
	fixtures.Need(t, other.FaultyModules != "", "the faulty module of "+other.Name, "make fixtures")
	p := plan(t, k)
	p.Modules = other.FaultyModules
	err := Check(context.Background(), p)
	if blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), "but the kernel is 6.1.0-") {
		t.Errorf("error %v", err)
	}
	p.Kernel = ""
	if err := Check(context.Background(), p); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), "but the kernel is 6.1.0-") {
		t.Errorf("by the vmlinux: error %v", err)
	}
	p.Modules = k.FaultyModules
	if err := Check(context.Background(), p); err != nil {
		t.Error(err)
	}
}

// hasChain checks that the chain with the cause goes on outward with these functions, in this order, others between.
func hasChain(t *testing.T, r verdict.Result, want string) {
	t.Helper()
	for _, cpu := range r.CPUs {
		at := slices.IndexFunc(cpu.Frames, func(f verdict.Frame) bool { return f.Cause })
		if at < 0 {
			continue
		}
		left := strings.Fields(want)
		for _, f := range cpu.Frames[at+1:] {
			if len(left) > 0 && f.Function == left[0] {
				left = left[1:]
			}
		}
		if len(left) > 0 {
			t.Errorf("the chain lacks %q:\n%s", left, chainText(cpu.Frames))
		}
		return
	}
	t.Error("no chain has the cause")
}
