package timeline

import (
	"fmt"
	"math"
	"math/rand"
	"slices"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// made is a boot that took so long in each stage and initcall, seconds.
func made(stages [4]float64, initcalls map[string]float64) verdict.Times {
	var t verdict.Times
	at := 0.0
	for i, s := range []verdict.Stage{verdict.Firmware, verdict.StartKernel, verdict.Initcall, verdict.Userspace} {
		t.Timeline = append(t.Timeline, verdict.Mark{Stage: string(s), Seconds: at, Within: 0.002})
		at += stages[i]
	}
	t.Timeline = append(t.Timeline, verdict.Mark{Stage: verdict.MarkEnd, Seconds: at, Within: 0.002, Event: true})
	zero := 0
	for name, s := range initcalls {
		t.Initcalls = append(t.Initcalls, verdict.InitcallTime{Function: name, Level: "fs", Start: 0.5, Seconds: s, Returned: &zero})
	}
	return t
}

// noisy is a boot of a kernel with forty initcalls of 0.1 to 100 ms, at a pace and with a host's noise; change makes it another kernel.
func noisy(r *rand.Rand, pace float64, change func(calls map[string]float64)) verdict.Times {
	calls := map[string]float64{}
	for i := range 40 {
		calls[fmt.Sprintf("f%02d_init", i)] = 0.0001 * math.Pow(1000, float64(i)/39)
	}
	if change != nil {
		change(calls)
	}
	sum := 0.0
	for _, name := range slices.Sorted(func(yield func(string) bool) {
		for n := range calls {
			if !yield(n) {
				return
			}
		}
	}) {
		calls[name] *= pace * math.Exp(0.05*r.NormFloat64())
		if r.Intn(40) == 0 { // the host did something else
			calls[name] += 0.004 * r.Float64()
		}
		sum += calls[name]
	}
	jitter := func(s float64) float64 { return pace * s * math.Exp(0.05*r.NormFloat64()) }
	return made([4]float64{jitter(0.05), jitter(0.2), sum, jitter(0.1)}, calls)
}

func side(name string, boots ...verdict.Times) Side {
	return Side{Name: name, Cells: []Cell{{Boots: boots}}}
}

// stands is what stands out, "slower initcall f03_init".
func stands(c verdict.Comparison) (out []string) {
	for _, cell := range c.Cells {
		for _, d := range cell.Differences {
			if d.Stands != "" {
				out = append(out, d.Stands+" "+d.Kind+" "+d.Name)
			}
		}
	}
	return out
}

// TestCompare: an initcall that is 120 ms slower is found at the head, whether or not the whole host is slower, and with one boot of
// each side as with five; one that is new and one that is gone are; the same kernel is the same.
func TestCompare(t *testing.T) {
	slow := func(calls map[string]float64) { calls["f10_init"] += 0.12 }
	for _, tc := range []struct {
		name   string
		pace   float64
		change func(map[string]float64)
		want   string // the first that stands out
	}{
		{"the same", 1, nil, ""},
		{"the same on a slower host", 1.2, nil, ""},
		{"slower", 1, slow, "slower initcall f10_init"},
		{"slower, on a slower host", 1.2, slow, "slower initcall f10_init"},
		{"slower, on a faster host", 0.8, slow, "slower initcall f10_init"},
		{"new", 1, func(c map[string]float64) { c["new_init"] = 0.12 }, "slower initcall new_init"},
		{"gone", 1, func(c map[string]float64) { delete(c, "f39_init") }, "faster initcall f39_init"},
	} {
		for _, n := range []int{1, 5} {
			r := rand.New(rand.NewSource(1))
			var a, b []verdict.Times
			for range n {
				a, b = append(a, noisy(r, 1, nil)), append(b, noisy(r, tc.pace, tc.change))
			}
			got := stands(Compare(side("a", a...), side("b", b...)))
			if first := slices.Concat(got, []string{""})[0]; first != tc.want {
				t.Errorf("%s, %d boots: %q, want %q first", tc.name, n, got, tc.want)
			}
			if tc.want != "" {
				back := stands(Compare(side("b", b...), side("a", a...)))
				mirror := strings.NewReplacer("slower", "faster", "faster", "slower").Replace(tc.want)
				if first := slices.Concat(back, []string{""})[0]; first != mirror {
					t.Errorf("%s, %d boots, the other way round: %q, want %q first", tc.name, n, back, mirror)
				}
			}
		}
	}
}

// TestCompareUnlikeBoots: what one side was too quick in to be seen counts as the stage before; a boot that died is not slower
// or faster in what it did not live to see.
func TestCompareUnlikeBoots(t *testing.T) {
	boot := func(marks ...any) verdict.Times {
		var out verdict.Times
		for i := 0; i < len(marks); i += 2 {
			m := verdict.Mark{Stage: marks[i].(string), Seconds: marks[i+1].(float64), Within: 0.002}
			m.Event = m.Stage == verdict.MarkEnd
			out.Timeline = append(out.Timeline, m)
		}
		return out
	}
	whole := boot("firmware", 0.0, "startup_64", 0.1, "early-idt", 0.104, "start_kernel", 0.106, "initcall", 0.5, "userspace", 1.0, "end", 1.1)
	quick := boot("firmware", 0.0, "startup_64", 0.1, "start_kernel", 0.105, "initcall", 0.5, "userspace", 1.0, "end", 1.1)
	died := boot("firmware", 0.0, "startup_64", 0.1, "start_kernel", 0.105, "initcall", 0.5, "end", 9.0)
	whole.Initcalls = []verdict.InitcallTime{{Function: "slow_init", Seconds: 0.4}}
	names := func(c verdict.Comparison) (out []string) {
		for _, d := range c.Cells[0].Differences {
			out = append(out, d.Name)
		}
		return out
	}
	c := Compare(side("a", whole), side("b", quick))
	if got := names(c); !slices.Equal(got, []string{"slow_init", "boot", "firmware", "startup_64", "start_kernel", "initcall", "userspace"}) {
		t.Errorf("a stage that is seen once: %q", got)
	}
	c = Compare(side("a", whole), side("b", died))
	if got := names(c); !slices.Equal(got, []string{"firmware", "startup_64", "start_kernel"}) || c.Slower+c.Faster > 0 {
		t.Errorf("a boot that died: %q, %q", got, stands(c))
	}
	c = Compare(side("a", whole, whole), side("b", quick, died))
	if c.Cells[0].BootsB != 1 || len(names(c)) != 7 {
		t.Errorf("one of two died: %+v", c.Cells[0])
	}
	c = Compare(side("a", whole), side("b", verdict.Times{}))
	if len(c.Cells) != 0 || len(c.Notes) != 1 {
		t.Errorf("no timeline: %+v", c)
	}
}

// TestCompareCells: cells are compared by their names.
func TestCompareCells(t *testing.T) {
	one := made([4]float64{0.1, 0.1, 0.1, 0.1}, nil)
	a := Side{"a", []Cell{{"x", []verdict.Times{one}}, {"y", []verdict.Times{one}}}}
	b := Side{"b", []Cell{{"z", []verdict.Times{one}}, {"y", []verdict.Times{one}}}}
	c := Compare(a, b)
	if len(c.Cells) != 1 || c.Cells[0].Cell != "y" || !slices.Equal(c.OnlyA, []string{"x"}) || !slices.Equal(c.OnlyB, []string{"z"}) || c.Cells[0].Scale != 1 {
		t.Errorf("%+v", c)
	}
	if j := Join("ab", a, b); len(j.Cells) != 3 || len(j.Cells[1].Boots) != 2 {
		t.Errorf("joined %+v", j)
	}
}
