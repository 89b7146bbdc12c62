package harness

import (
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"kcatch/gdb/amd64"
	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// outer is the chain of functions of the first vCPU from the frame at fault outward, inlined ones left out.
func outer(r verdict.Result) []string {
	var out []string
	at := false
	for _, f := range r.CPUs[0].Frames {
		if at = at || f.Cause; at && !f.Inline {
			name := f.Function
			if f.Symbol != "" {
				name = f.Symbol
			}
			out = append(out, name)
		}
	}
	return out
}

// TestBzImageAlone: without any vmlinux the names come from the kernel's own table in the bzImage. The chain is the one
// that the vmlinux gives, less lines and inlined functions; the log, the BUG's place and the vector are there.
func TestBzImageAlone(t *testing.T) {
	t.Parallel()
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612} {
		t.Run(name, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, name))
			whole := boots(t, p)
			p.Vmlinux, p.Out = "", t.TempDir()
			r := boots(t, p)
			c := r.Cause
			if r.Class != verdict.EarlyException || r.Stage != verdict.StartKernel || r.StageCall != "setup_arch" || c == nil {
				t.Fatalf("class %s, stage %s (%s), cause %+v", r.Class, r.Stage, r.StageCall, c)
			}
			if c.Function != "init_unavailable_range" || c.Line != 0 || c.Exception == nil || c.Exception.Vector != 6 ||
				c.Bug == nil || c.Bug.File != "include/linux/page-flags.h" || c.Bug.Line != whole.Cause.Bug.Line {
				t.Errorf("cause %+v, %+v, %+v", c, c.Exception, c.Bug)
			}
			var want []string
			for _, f := range whole.CPUs[0].Frames {
				if !f.Inline && (len(want) > 0 || f.Function == "init_unavailable_range") {
					want = append(want, f.Function)
				}
			}
			if got := outer(r); !slices.Equal(got, want) {
				t.Errorf("chain %q, want %q", got, want)
			}
			if len(r.Log) < 50 || !strings.Contains(strings.Join(r.Notes, "\n"), "kernel's own kallsyms, from the bzImage") {
				t.Errorf("%d log records, notes %q", len(r.Log), r.Notes)
			}
			if r.Kernel.BuildID != whole.Kernel.BuildID || r.Kernel.Release != whole.Kernel.Release {
				t.Errorf("kernel %+v, want %+v", r.Kernel, whole.Kernel)
			}
		})
	}
}

// TestForeignBzImageAlone: Debian's own kernels, of which nothing is known but the bzImage.
func TestForeignBzImageAlone(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]string{fixtures.Cloud61: "mount_block_root", fixtures.Cloud612: "mount_root_generic"} {
		t.Run(name, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, name))
			p.Vmlinux, p.Initrd = "", "none"
			r := boots(t, p)
			if r.Class != verdict.Panic || r.Cause == nil || r.Cause.Function != cause || !slices.Contains(outer(r), "kernel_init") {
				t.Errorf("class %s, cause %+v, chain %q", r.Class, r.Cause, outer(r))
			}
		})
	}
}

// TestStrippedVmlinux: the same table is in a vmlinux that was stripped of everything.
func TestStrippedVmlinux(t *testing.T) {
	t.Parallel()
	strip, err := exec.LookPath("strip")
	fixtures.Need(t, err == nil, "strip", "make test-deps")
	p := plan(t, fixtures.Find(t, fixtures.Seed61))
	bare := filepath.Join(t.TempDir(), "vmlinux")
	if out, err := exec.Command(strip, "-s", "-o", bare, p.Vmlinux).CombinedOutput(); err != nil {
		t.Fatalf("strip: %v\n%s", err, out)
	}
	p.Vmlinux = bare
	r := boots(t, p)
	if r.Class != verdict.EarlyException || r.Cause == nil || r.Cause.Function != "init_unavailable_range" {
		t.Errorf("class %s, cause %+v", r.Class, r.Cause)
	}
	if !strings.Contains(strings.Join(r.Notes, "\n"), "own kallsyms, which are in it") {
		t.Errorf("notes %q", r.Notes)
	}
}

// TestUntilSymbolOfBzImage: a symbol can be waited for by the kernel's own table, and a wrong one is refused at once.
func TestUntilSymbolOfBzImage(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Vmlinux, p.Until = "", "start_kernel"
	if err := Check(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	if r := boots(t, p); r.Verdict != verdict.Good {
		t.Errorf("verdict %s: %s", r.Verdict, r.Summary)
	}
	p.Until = "strat_kernel"
	if err := Check(t.Context(), p); err == nil || verdict.ExitFor(err) != verdict.ExitUsage {
		t.Errorf("%v, want a usage error", err)
	}
}

// TestCompressedDebugInfo: debug sections that binutils' objcopy compressed tell the same.
func TestCompressedDebugInfo(t *testing.T) {
	t.Parallel()
	objcopy, err := exec.LookPath("objcopy")
	fixtures.Need(t, err == nil, "objcopy", "make test-deps")
	for _, how := range []string{"zlib", "zstd"} {
		t.Run(how, func(t *testing.T) {
			k := fixtures.Find(t, fixtures.Seed61)
			p := plan(t, k)
			p.Vmlinux = filepath.Join(t.TempDir(), "vmlinux")
			if out, err := exec.Command(objcopy, "--compress-debug-sections="+how, k.Vmlinux, p.Vmlinux).CombinedOutput(); err != nil {
				t.Fatalf("objcopy: %v\n%s", err, out)
			}
			r := boots(t, p)
			if c := r.Cause; c == nil || c.Function != "__SetPageReserved" || c.Exception == nil || c.Exception.Vector != 6 {
				t.Errorf("cause %+v", c)
			}
			golden(t, filepath.Join("testdata", fixtures.Seed61+".chain"), chainText(r.CPUs[0].Frames))
		})
	}
}

// TestSplitMemory: RAM that lies on both sides of 4 GiB, as each machine splits it; KASLR puts the kernel on either. One guest is large:
// its struct pages alone, all of which the core has, are 512 MiB.
func TestSplitMemory(t *testing.T) {
	for machine, memory := range map[string]uint64{"q35": 32 << 30, "pc": 8 << 30, "microvm": 8 << 30} {
		t.Run(machine, func(t *testing.T) {
			p := plan(t, fixtures.Find(t, fixtures.Seed61))
			p.Machine, p.Memory, p.CPUs = machine, memory, 2
			r := boots(t, p)
			if r.Class != verdict.EarlyException {
				t.Errorf("class %s: %s", r.Class, r.Summary)
			}
			golden(t, filepath.Join("testdata", fixtures.Seed61+".chain"), chainText(r.CPUs[0].Frames))
			// The struct pages are at the end of memory, wherever the kernel is.
			if c := r.Cause; c == nil || c.Page == nil || c.Page.PFN != 0 || c.Page.RefCount != 1 || c.Page.MapCount != -1 {
				t.Errorf("cause %+v", c)
			}
			if len(r.Log) < 50 {
				t.Errorf("%d log records", len(r.Log))
			}
			var st syscall.Stat_t
			if err := syscall.Stat(r.Artifacts.VMCore, &st); err != nil || uint64(st.Size) < memory || st.Blocks*512 > 2<<30 {
				t.Errorf("vmcore: %v, %d MiB, of which %d on disk", err, st.Size>>20, st.Blocks*512>>20)
			}
		})
	}
}

// TestFiveLevels: five levels of page tables, which Debian's kernels have where the CPU does, and 32 GiB: the stack is in
// vmalloc space, and the panic's text is waited for although the core takes its time.
func TestFiveLevels(t *testing.T) {
	p := plan(t, fixtures.Find(t, fixtures.Cloud61))
	p.Initrd, p.Memory, p.QEMUArg = "none", 32<<30, []string{"-cpu", "max,la57=on"}
	r := boots(t, p)
	if r.Class != verdict.Panic || r.Cause == nil || r.Cause.Function != "mount_block_root" || !strings.Contains(r.Summary, "Unable to mount root fs") {
		t.Errorf("class %s, cause %+v: %s", r.Class, r.Cause, r.Summary)
	}
	if regs := r.CPUs[0].Regs; regs == nil || uint64(regs.CR4)&amd64.CR4LA57 == 0 {
		t.Errorf("no five levels: %+v", regs)
	}
	if got := outer(r); !slices.Contains(got, "kernel_init_freeable") {
		t.Errorf("chain %q", got)
	}
}
