package report

import (
	"encoding/csv"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// hostile is a survey whose names and values are a guest's that means harm.
func hostile() *verdict.Survey {
	frames := []verdict.Frame{{Function: "=cmd|' /C calc'!A0", File: "mm/a.c", Line: 7}, {Function: "\x1b[2Jg", Module: "m,\"n"}}
	chain := verdict.Sighting{Count: 3, Stage: verdict.Initcall, StageCall: "::error::x", Seconds: 0.5, Frames: frames,
		Values: verdict.Values{"page": "0xffff", "name": "\"a\nb\"", "gone": "<cannot read: lost>"}}
	return &verdict.Survey{Schema: verdict.SurveySchema, Hits: 3, Boot: verdict.Result{Verdict: verdict.Good, Class: verdict.OK, Summary: "reached init"},
		Points: []verdict.Point{{Name: "+f", Addresses: 2, Count: 3, Chains: 1, Out: "taken out"}},
		Sites: []verdict.Site{{Point: "+f", Function: frames[0].Function, File: "mm/a.c", Line: 7, Inlined: &verdict.Inner{Function: "@inner"},
			Stage: verdict.Initcall, Stages: []verdict.Stage{verdict.Initcall}, Count: 3, AtLeast: true, Frames: frames, Values: chain.Values, Chains: []verdict.Sighting{chain}}}}
}

func TestSurveyCSV(t *testing.T) {
	var b strings.Builder
	if err := SurveyCSV(&b, hostile()); err != nil {
		t.Fatal(err)
	}
	rows, err := csv.NewReader(strings.NewReader(b.String())).ReadAll()
	if err != nil || len(rows) != 2 || len(rows[0]) != len(rows[1]) {
		t.Fatalf("%v\n%s", err, b.String())
	}
	for i, cell := range rows[1] {
		if cell != "" && strings.ContainsRune("=+-@", rune(cell[0])) {
			t.Errorf("%s: a formula: %q", rows[0][i], cell)
		}
		if strings.ContainsAny(cell, "\x1b\n") {
			t.Errorf("%s: a control character in %q", rows[0][i], cell)
		}
	}
	want := []string{"'+f", "'=cmd|' /C calc'!A0", "", "mm/a.c", "7", "'@inner", "initcall", `\x3a:error::x`, "3", "true", "0", "0.500",
		`'=cmd|' /C calc'!A0 < \x1b[2Jg [m,"n]`, `name="a\x0ab"; page=0xffff`}
	for i := range want {
		if rows[1][i] != want[i] {
			t.Errorf("%s: %q, want %q", rows[0][i], rows[1][i], want[i])
		}
	}
}

func TestSurveyText(t *testing.T) {
	var b strings.Builder
	if err := SurveyText(&b, hostile(), Style{}, false); err != nil {
		t.Fatal(err)
	}
	got := b.String()
	for _, want := range []string{"GOOD  reached init", "1 site, 1 distinct chain, 3 hits", "   3+  initcall  =cmd|' /C calc'!A0  mm/a.c:7  @inner  (+f)", "page = 0xffff",
		"at least 3 times in", "no value: gone\n", "looked at  +f  at 2 addresses: 3 hits, 1 distinct chain"} {
		if !strings.Contains(got, want) {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
	if strings.ContainsRune(got, 0x1b) || strings.Contains(got, "\n::") {
		t.Errorf("hostile text went through:\n%q", got)
	}
}
