package report

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestSmokeList: columns, and nothing of a profile reaches the terminal as it is.
func TestSmokeList(t *testing.T) {
	m := verdict.Matrix{Shard: "1/2", Cells: []verdict.Planned{
		{Name: "a/q35", Build: "~/linux + tiny", Machine: "q35", Memory: 256 << 20, CPUs: 1, Until: "init", Seconds: 2.25, Checks: []string{"net"}},
		{Name: "long/microvm/quiet", Kernel: "/b\x1b[31m", Machine: "microvm", CPU: "max", Memory: 1 << 30, CPUs: 2, Until: "init", Expect: "oops:f", Append: "quiet\r\x9b", Seconds: 1},
	}}
	var b strings.Builder
	if err := SmokeList(&b, &m, Style{}); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 5 || lines[3] != "2 cells in shard 1/2, 3.2s of boots" || strings.ContainsAny(b.String(), "\x1b\r") ||
		lines[1] != "a/q35               ~/linux + tiny  q35, 256M, 1 vCPU             init, 1 check  2.2s" ||
		!strings.Contains(lines[2], "  microvm, 1024M, 2 vCPUs, max  oops:f         1.0s  quiet") {
		t.Errorf("%q", lines)
	}
}
