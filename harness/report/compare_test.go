package report

import (
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// TestCompareText: what stands out comes first and is marked, initcalls that do not are left out, a hostile name is inert.
func TestCompareText(t *testing.T) {
	c := verdict.Comparison{A: "old.json", B: "new.json", Slower: 1, Faster: 1, OnlyB: []string{"k/pc"}, Notes: []string{"x"},
		Cells: []verdict.CellComparison{{Cell: "k/q35", BootsA: 5, BootsB: 1, Scale: 1.2, Differences: []verdict.Difference{
			{Kind: "initcall", Name: "a\x1b[1m", Module: "m", Level: "fs", A: 0.004, B: 0.12, Change: 0.1152, Noise: 0.02, Stands: verdict.Slower},
			{Kind: "stage", Name: "initcall", A: 0.4, B: 0.3, Change: -0.18, Noise: 0.1, Stands: verdict.Faster},
			{Kind: "boot", Name: "boot", A: 1, B: 1.2, Change: 0.2, Noise: 0.3},
			{Kind: "initcall", Name: "b", A: 0.4, B: 0.3, Change: -0.18, Noise: 0.3},
		}}}}
	want := `A  old.json
B  new.json
1 slower and 1 faster in B than chance allows

k/q35  boots: 5 of A, 1 of B; B's stages are 1.20 times slower as a rule, which is taken out of their changes
       A ms       B ms     change      noise
        4.0        120     +115.2        ±20  slower  initcall a\x1b[1m [m] (fs)
        400        300     -180.0       ±100  faster  stage initcall
       1000       1200     +200.0       ±300  the whole boot
note: only B has k/pc
note: x
`
	var b strings.Builder
	if err := CompareText(&b, &c, Style{}); err != nil || b.String() != want {
		t.Errorf("%v, got\n%s\nwant\n%s", err, b.String(), want)
	}
	b.Reset()
	if err := CompareText(&b, &verdict.Comparison{Cells: []verdict.CellComparison{{Scale: 0.5}}}, Style{}); err != nil || !strings.Contains(b.String(), "nothing stands out") ||
		!strings.Contains(b.String(), "2.00 times faster") {
		t.Errorf("%v, %s", err, b.String())
	}
	c.Cells[0].Differences = nil
	for range mostDifferences + 3 {
		c.Cells[0].Differences = append(c.Cells[0].Differences, verdict.Difference{Kind: "initcall", Name: "c", Stands: verdict.Slower})
	}
	b.Reset()
	if err := CompareText(&b, &c, Style{}); err != nil || strings.Count(b.String(), "initcall c") != mostDifferences || !strings.Contains(b.String(), "and 3 more") {
		t.Errorf("%v, %s", err, b.String())
	}
}
