package harness

import (
	"os"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/fixtures"
	"kcatch/kernels/kconfig"
)

// TestWorkload runs the memory workload in a guest that has little and in one that has a distribution's kernel. What each step
// must find there is asked of the kernel's .config.
func TestWorkload(t *testing.T) {
	t.Parallel()
	needs := map[string][]string{ // a step, and what it needs built in
		"tmpfs": {"TMPFS"}, "page-cache": nil, "anon": nil, "mapped": nil, "fork-exec": nil, "pipes": nil, "pressure": {"PROC_FS"},
		"drop-caches": {"PROC_SYSCTL"}, "sockets": {"UNIX"}, "compaction": {"COMPACTION"}, "migrate": {"NUMA", "MIGRATION"},
		"thp":      {"TRANSPARENT_HUGEPAGE", "ADVISE_SYSCALLS"},
		"collapse": {"TRANSPARENT_HUGEPAGE", "ADVISE_SYSCALLS", "TMPFS"},
		"hugetlb":  {"HUGETLBFS"}, "ksm": {"KSM", "ADVISE_SYSCALLS"}, "hotplug": {"MEMORY_HOTREMOVE"},
		"swap-on": {"SWAP", "BLK_DEV_RAM"}, "swap": {"SWAP", "BLK_DEV_RAM", "ADVISE_SYSCALLS"}, "swap-off": {"SWAP", "BLK_DEV_RAM"},
		"filesystem": {"EXT2_FS", "BLK_DEV_RAM"},
	}
	for _, name := range []string{fixtures.Good61, fixtures.Cloud61} {
		t.Run(name, func(t *testing.T) {
			k := fixtures.Find(t, name)
			f, err := os.Open(k.Config)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			config, err := kconfig.Parse(f)
			if err != nil {
				t.Fatal(err)
			}
			p := plan(t, k)
			p.Workload = "memory"
			r := boots(t, p)
			if r.Verdict != verdict.Good || r.Workload == nil || !r.Workload.Ended {
				t.Fatalf("verdict %s: %s\nworkload %+v\n%s", r.Verdict, r.Summary, r.Workload, strings.Join(r.Notes, "\n"))
			}
			t.Logf("%.1f s: %s", r.Timing.Boot, strings.Join(r.Details, "; "))
			if len(r.Workload.Steps) != len(needs) {
				t.Errorf("%d steps, want %d", len(r.Workload.Steps), len(needs))
			}
			for _, s := range r.Workload.Steps {
				want := "ok"
				for _, symbol := range needs[s.Name] {
					if config.Value(symbol) != "y" {
						want = "not there"
					}
				}
				// Whether a block of memory can be taken out depends on what KASLR put into it.
				if s.Outcome != want && (s.Name != "hotplug" || s.Outcome != "not there") {
					t.Errorf("step %s: %s (%s), want %s", s.Name, s.Outcome, s.Note, want)
				}
			}
		})
	}
}

func TestWorkloadRefused(t *testing.T) {
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	for _, c := range []struct{ workload, initrd, want string }{
		{"nope", "", `workload "nope": there is none`}, {"memory", "none", "only kcatch's own initramfs"},
	} {
		p.Workload, p.Initrd = c.workload, c.initrd
		if err := Check(t.Context(), p); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), c.want) || blame.Hint(err) == "" {
			t.Errorf("%+v: %v", c, err)
		}
	}
}
