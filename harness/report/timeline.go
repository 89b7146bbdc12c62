package report

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// textInitcalls is how many initcalls the text report shows; the JSON has them all.
const textInitcalls = 10

// stages are the times of a boot's stages in one line.
func (t *text) stages(r *verdict.Result) {
	var parts []string
	for _, s := range verdict.Spans(r.Timeline) {
		parts = append(parts, fmt.Sprintf("%s %s", s.Stage, milliseconds(s.Seconds)))
	}
	if len(parts) > 0 {
		t.line("     %s", t.style.dim(strings.Join(parts, ", ")+" ms"))
	}
}

// milliseconds is a time of the boot in ms, as precise as it is of use: "0.4", "12", "1530".
func milliseconds(s float64) string {
	if ms := 1000 * s; ms < 9.95 && ms > -9.95 {
		return fmt.Sprintf("%.1f", ms)
	}
	return fmt.Sprintf("%.0f", 1000*s)
}

// initcalls are the longest ones.
func (t *text) initcalls(r *verdict.Result) {
	if len(r.Initcalls) == 0 {
		return
	}
	sorted := slices.Clone(r.Initcalls)
	slices.SortStableFunc(sorted, func(a, b verdict.InitcallTime) int { return cmp.Compare(b.Seconds, a.Seconds) })
	sum := 0.0
	for _, c := range sorted {
		sum += c.Seconds
	}
	shown := sorted[:min(textInitcalls, len(sorted))]
	t.line("")
	t.line("%s", t.style.dim(fmt.Sprintf("the longest of %d initcalls, which took %s ms in all:", len(sorted), milliseconds(sum))))
	for _, c := range shown {
		t.line("  %8s ms  %-8s  %s", milliseconds(c.Seconds), Clean(c.Level, 20), initcallName(c)+returnedText(c))
	}
}

// initcallName is the function with its module.
func initcallName(c verdict.InitcallTime) string {
	if c.Module != "" {
		return Clean(c.Function, 80) + " [" + Clean(c.Module, 60) + "]"
	}
	return Clean(c.Function, 80)
}

func returnedText(c verdict.InitcallTime) string {
	switch {
	case c.Returned == nil:
		return "  did not come back"
	case *c.Returned != 0:
		return fmt.Sprintf("  returned %d", *c.Returned)
	}
	return ""
}
