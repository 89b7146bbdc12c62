package survey

import (
	"fmt"
	"regexp"
	"slices"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// TestRefcountSites: one boot of the assertion as a warning, with the workload, finds the places that violate it, from setup_arch to
// userspace. The oracle is the kernel's own log: each WARN says the line of its helper in the header and the function that the
// helper is inlined into.
func TestRefcountSites(t *testing.T) {
	p := plan(t, fixtures.Find(t, fixtures.Survey61))
	p.Workload = "memory"
	s := surveyed(t, p)
	if s.Boot.Verdict != verdict.Good || s.Boot.Workload == nil || !s.Boot.Workload.Ended {
		t.Fatalf("the boot: %s; workload %+v", s.Boot.Summary, s.Boot.Workload)
	}
	sites, n, exact := at(&s, "WARN")
	var got, want []string
	stages := map[verdict.Stage]bool{}
	for _, site := range sites {
		if site.Inlined == nil || site.Count != 1 {
			t.Errorf("a site outside the header, or one that was said %d times: %s %s:%d", site.Count, site.Function, site.File, site.Line)
			continue
		}
		stages[site.Stage] = true
		owner := site.Frames[slices.IndexFunc(site.Frames, func(f verdict.Frame) bool { return !f.Inline })]
		got = append(got, fmt.Sprintf("%s:%d %s", site.Inlined.File, site.Inlined.Line, owner.Function))
	}
	line := regexp.MustCompile(`^WARNING: CPU: \d+ PID: \d+ at (\S+:\d+) (\w+)[.+]`)
	for _, l := range s.Boot.Log {
		if m := line.FindStringSubmatch(l.Text); m != nil {
			want = append(want, m[1]+" "+m[2])
		}
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) || n != len(want) || !exact {
		t.Errorf("%d hits:\n%q\nthe kernel says\n%q", n, got, want)
	}
	if len(sites) < 10 || !stages[verdict.StartKernel] || !stages[verdict.Userspace] {
		t.Errorf("%d sites, in stages %v", len(sites), stages)
	}
}
