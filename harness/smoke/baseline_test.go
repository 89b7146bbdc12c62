package smoke

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// TestBaselineRun: a death that the same cell died before is known and does not fail; a new one does; one that does not come again is
// fixed, unless its cell died of something else.
func TestBaselineRun(t *testing.T) {
	const foo, bar = "oops/initcall/foo", "bug/init/bar"
	request := func() Request {
		return Request{Jobs: 1, Cells: []Cell{cellOf("a", ""), cellOf("b", ""), cellOf("c", ""), cellOf("d", ""), cellOf("e", "")}}
	}
	first := request()
	first.Cells[4].Expect, first.Out = "oops:foo", t.TempDir()
	before, err := runs(t, &world{boots: map[string][]string{"a": {foo}, "b": {foo}, "c": {foo}, "e": {foo}}}, first, 0)
	if err != nil || before.Failed != 3 || before.Passed != 2 {
		t.Fatalf("%+v, %v", before, err)
	}
	second := request()
	second.Cells[0].Retries = 3 // what passes is not tried again
	second.Baseline = filepath.Join(first.Out, ResultName)
	after, err := runs(t, &world{boots: map[string][]string{"a": {foo}, "b": {bar}, "d": {foo}, "e": {foo}}}, second, 0)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, c := range after.Cells {
		got = append(got, c.Name+" "+string(c.Status)+" "+c.Novelty+" "+c.Reason)
	}
	// e was expected to die before and is not any more: that it does is new.
	want := "a pass known known: oops in foo, b fail new bug in bar, c pass  , d fail new oops in foo, e fail new oops in foo"
	if text := strings.Join(got, ", "); text != want {
		t.Errorf("got  %s\nwant %s", text, want)
	}
	if want := []verdict.Known{{Cell: "c", Signature: foo}}; !reflect.DeepEqual(after.Fixed, want) || after.Baseline != second.Baseline {
		t.Errorf("fixed %+v, want %+v", after.Fixed, want)
	}
	// The second run is a baseline in its turn: what was known in it still is.
	known := smokeBaseline(&after)
	if known.novelty("a", foo) != noveltyKnown || known.novelty("b", bar) != noveltyKnown || known.novelty("c", foo) != noveltyNew {
		t.Errorf("%+v", known)
	}
}

// TestBaselineOfOneBoot: the death of a single boot is known to every cell, and fixed when all live.
func TestBaselineOfOneBoot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "result.json")
	data, err := json.Marshal(verdict.Result{Schema: verdict.Schema, Verdict: verdict.Bad, Class: verdict.Oops, Signature: "oops/init/foo"})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	request := func() Request {
		return Request{Jobs: 1, Baseline: path, Cells: []Cell{cellOf("a", ""), cellOf("b", "")}}
	}
	out, err := runs(t, &world{boots: map[string][]string{"a": {"oops/init/foo"}, "b": {"oops/init/foo"}}}, request(), 0)
	if err != nil || out.Passed != 2 || len(out.Fixed) != 0 || out.Cells[1].Novelty != noveltyKnown {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err = runs(t, &world{}, request(), 0); err != nil || len(out.Fixed) != 1 || out.Fixed[0].Cell != "" {
		t.Errorf("%+v, %v", out, err)
	}
	if out, err = runs(t, &world{boots: map[string][]string{"b": {"bug/setup/x"}}}, request(), 0); err != nil || len(out.Fixed) != 0 {
		t.Errorf("a death that another one may hide is said to be fixed: %+v, %v", out, err)
	}
}

// TestBaselineOfWarns: where WARNs make boots bad, one that the baseline has not is new, also behind one that it has.
func TestBaselineOfWarns(t *testing.T) {
	warned := func(signatures ...string) *verdict.Result {
		r := &verdict.Result{Verdict: verdict.Bad, Class: verdict.Warn, Signature: signatures[0]}
		for _, s := range signatures {
			r.Warnings = append(r.Warnings, verdict.Warning{Signature: s})
		}
		return r
	}
	before := warned("warn/init/foo", "warn/init/bar")
	known := smokeBaseline(&verdict.Smoke{Cells: []verdict.Cell{{Name: "a", Status: verdict.CellFail, Result: before,
		Tries: []verdict.Try{{Verdict: verdict.Bad, Signature: "warn/init/foo"}}}}})
	for _, tt := range []struct {
		r    *verdict.Result
		want bool
	}{
		{before, true}, {warned("warn/init/bar"), true}, {warned("warn/init/bar", "warn/init/foo", "warn/init/bar"), true},
		{warned("warn/init/foo", "warn/init/new"), false}, {warned("warn/init/new", "warn/init/foo"), false},
	} {
		if a := judge(&Cell{Name: "a"}, tt.r, nil, known, nil); a.Passed != tt.want || (a.novelty == noveltyKnown) != tt.want {
			t.Errorf("%+v: passed %v, %s", tt.r.Warnings, a.Passed, a.novelty)
		}
		if a := judge(&Cell{Name: "b"}, tt.r, nil, known, nil); a.Passed {
			t.Errorf("a cell that the baseline has no death of passes: %+v", tt.r.Warnings)
		}
	}
}

// TestReadBaselineRefuses: anything else is refused in one line that names the file.
func TestReadBaselineRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tt := range []struct{ path, want string }{
		{filepath.Join(dir, "none"), "no such file"}, {dir, "not a regular file"}, {file("text", "BAD"), "not JSON"}, {file("empty", ""), "not JSON"},
		{file("list", "[]"), "not JSON as kcatch writes it"}, {file("other", `{"a":1}`), "neither a smoke result nor the result of a boot"},
		{file("survey", `{"schema":"kcatch/survey/v1"}`), "is a kcatch/survey/v1"}, {file("hostile", `{"schema":"x\n::error::\u001b[31m"}`), `\x1b[31m`},
		{file("wrong", `{"schema":"kcatch/smoke/v1","cells":7}`), "not JSON as kcatch writes it"},
	} {
		_, err := readBaseline(tt.path)
		if blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "--baseline: "+tt.path) ||
			strings.ContainsAny(err.Error(), "\n\x1b") || blame.Hint(err) == "" {
			t.Errorf("%v (%s), want %q in it", err, blame.Hint(err), tt.want)
		}
	}
}

// FuzzBaseline: any bytes give a baseline, an error, or neither; and asking it is safe.
func FuzzBaseline(f *testing.F) {
	f.Add([]byte(`{"schema":"kcatch/smoke/v1","cells":[{"name":"a","status":"fail","result":{"verdict":"bad","signature":"oops/x"},"tries":[{"verdict":"bad","signature":"bug/y"}]}]}`))
	f.Add([]byte(`{"schema":"kcatch/result/v1","verdict":"bad","signature":"oops/x"}`))
	f.Add([]byte(`{"schema":"kcatch/smoke/v1","cells":[{"result":null,"tries":null}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		b, _, err := parseBaseline(data)
		if b != nil && err != nil {
			t.Error("both a baseline and an error")
		}
		for _, k := range func() []verdict.Known {
			if b == nil {
				return nil
			}
			return b.deaths
		}() {
			if b.novelty(k.Cell, k.Signature) != noveltyKnown {
				t.Errorf("%+v is not known to its own baseline", k)
			}
		}
		if n := b.novelty("no cell", "no signature"); b == nil && n != "" {
			t.Errorf("novelty %q without a baseline", n)
		}
	})
}
