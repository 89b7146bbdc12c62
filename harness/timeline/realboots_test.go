package timeline

import (
	"math/rand"
	"os"
	"strconv"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// realBoots are the boots of testdata/boots-6.1.tsv, all of the same kernel.
func realBoots(t *testing.T) []verdict.Times {
	t.Helper()
	data, err := os.ReadFile("testdata/boots-6.1.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var boots []verdict.Times
	var at []float64
	zero := 0
	for n, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") {
			continue
		}
		f := strings.Split(line, "\t")
		if boots == nil {
			boots, at = make([]verdict.Times, len(f)-2), make([]float64, len(f)-2)
		}
		if len(f) != len(boots)+2 {
			t.Fatalf("line %d has %d columns", n+1, len(f))
		}
		for i, v := range f[2:] {
			us, err := strconv.Atoi(v)
			if err != nil {
				t.Fatalf("line %d: %v", n+1, err)
			}
			s := float64(us) / 1e6
			if f[0] == "initcall" {
				boots[i].Initcalls = append(boots[i].Initcalls, verdict.InitcallTime{Function: f[1], Seconds: s, Returned: &zero})
				continue
			}
			if us > 0 {
				boots[i].Timeline = append(boots[i].Timeline, verdict.Mark{Stage: f[1], Seconds: at[i], Within: 0.002})
			}
			at[i] += s
		}
	}
	for i := range boots {
		boots[i].Timeline = append(boots[i].Timeline, verdict.Mark{Stage: verdict.MarkEnd, Seconds: at[i], Within: 0.002, Event: true})
	}
	return boots
}

// TestFalseAlarms: comparisons of the same kernel with itself, on a busy host. What stands out is chance; docs/timeline.md has the
// figures. And an initcall that is really slower is found all the same.
func TestFalseAlarms(t *testing.T) {
	boots := realBoots(t)
	const rounds = 100
	for _, tc := range []struct{ n, alarms, found int }{
		{1, 10, 90}, // of 100, at most; and of 100 with 100 ms more, at least
		{3, 3, 99},
		{5, 1, 99},
	} {
		r := rand.New(rand.NewSource(7))
		alarms, found := 0, 0
		for range rounds {
			p := r.Perm(len(boots))
			var a, b, slow []verdict.Times
			for k := range tc.n {
				one, other := boots[p[k]], boots[p[tc.n+k]]
				a, b = append(a, one), append(b, other)
				planted := verdict.Times{Timeline: other.Timeline}
				for _, c := range other.Initcalls {
					if c.Function == "pcibios_assign_resources" {
						c.Seconds += 0.1
					}
					planted.Initcalls = append(planted.Initcalls, c)
				}
				slow = append(slow, planted)
			}
			if c := Compare(side("a", a...), side("b", b...)); c.Slower+c.Faster > 0 {
				alarms++
			}
			for _, s := range stands(Compare(side("a", a...), side("b", slow...))) {
				if s == "slower initcall pcibios_assign_resources" {
					found++
				}
			}
		}
		t.Logf("%d boots of each side: %d of %d comparisons of the same kernel have something that stands out; 100 ms more are found in %d", tc.n, alarms, rounds, found)
		if alarms > tc.alarms || found < tc.found {
			t.Errorf("%d boots: %d false alarms, at most %d are to be; %d found, at least %d", tc.n, alarms, tc.alarms, found, tc.found)
		}
	}
}
