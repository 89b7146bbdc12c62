package smoke

import (
	"testing"
	"time"

	"kcatch/harness/verdict"
)

func TestLike(t *testing.T) {
	for _, tt := range []struct {
		pattern, s string
		want       bool
	}{
		{"", "", true}, {"", "a", false}, {"*", "", true}, {"*", "a/b", true}, {"a/b", "a/b", true}, {"a/b", "a/bc", false},
		{"warn/*/foo*", "warn/initcall/foo/bar", true}, {"warn/*/foo*", "warn/foo", false}, {"*foo", "foofoo", true},
		{"*foo*", "xfoox", true}, {"a*a", "a", false}, {"a*a", "aa", true}, {"a**b", "ab", true}, {"a*b*c", "axbxbxc", true},
		{"a*b*c", "axcxb", false}, {"a.c", "abc", false}, {"[a]", "a", false},
	} {
		if got := like(tt.pattern, tt.s); got != tt.want {
			t.Errorf("like(%q, %q) is %v", tt.pattern, tt.s, got)
		}
	}
}

// TestHolding: the last day belongs to an entry, the next one does not, by the clock of whoever runs it.
func TestHolding(t *testing.T) {
	list := []verdict.Allow{{Signature: "a", Expires: "2027-01-31"}, {Signature: "b", Expires: "2027-02-01"}, {Signature: "c", Expires: "never"}}
	for _, tt := range []struct {
		now           string
		hold, expired string
	}{
		{"2027-01-31T23:59:59+09:00", "ab", "c"}, {"2027-02-01T00:00:00-11:00", "b", "ac"}, {"2027-02-02T00:00:00Z", "", "abc"},
	} {
		now, err := time.Parse(time.RFC3339, tt.now)
		if err != nil {
			t.Fatal(err)
		}
		names := func(list []verdict.Allow) (s string) {
			for _, e := range list {
				s += e.Signature
			}
			return s
		}
		if hold, expired := holding(list, now); names(hold) != tt.hold || names(expired) != tt.expired {
			t.Errorf("at %s %q hold, %q have expired", tt.now, names(hold), names(expired))
		}
	}
}

// TestAllowedRun: an allowed death passes with its entry, a cell that the entry is not for fails, and an expired entry fails the run
// whether it was used or not.
func TestAllowedRun(t *testing.T) {
	const death = "oops/initcall/foo"
	future := time.Date(2300, 1, 1, 0, 0, 0, 0, time.UTC).Format(dateForm)
	allow := []verdict.Allow{{Signature: "oops/*/foo", Cells: "a*", Owner: "me", Reason: "bug 7", Expires: future}}
	request := func(allow ...verdict.Allow) Request {
		return Request{Jobs: 1, Allow: allow, Cells: []Cell{cellOf("a/x", ""), cellOf("b/x", "")}}
	}
	deaths := func() *world { return &world{boots: map[string][]string{"a/x": {death}, "b/x": {death}}} }
	out, err := runs(t, deaths(), request(allow...), 0)
	if err != nil {
		t.Fatal(err)
	}
	a, b := out.Cells[0], out.Cells[1]
	if a.Status != verdict.CellPass || a.Allowed == nil || a.Allowed.Owner != "me" || a.Reason != "allowed until 2300-01-01 (me: bug 7): oops in foo" || a.Result == nil {
		t.Errorf("%s, allowed %+v: %s", a.Status, a.Allowed, a.Reason)
	}
	if b.Status != verdict.CellFail || b.Allowed != nil {
		t.Errorf("%s, allowed %+v", b.Status, b.Allowed)
	}
	old := verdict.Allow{Signature: "oops/*", Owner: "me", Reason: "bug 6", Expires: "1999-12-31"} // synctest's clock begins in 2000
	if out, err = runs(t, deaths(), request(old), 0); err != nil || out.Failed != 2 || len(out.Expired) != 1 {
		t.Errorf("%+v, %v", out, err)
	}
	old.Signature = "bug/*"
	if out, err = runs(t, &world{}, request(old), 0); err != nil || out.Passed != 2 || len(out.Expired) != 1 || out.ExitCode() != verdict.ExitBad {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestIdleEntry: one that fits no death is named where a kernel died in its cells, and not where it may yet come.
func TestIdleEntry(t *testing.T) {
	dead := func(name, signature string) verdict.Cell {
		return verdict.Cell{Name: name, Status: verdict.CellFail, Result: &verdict.Result{Verdict: verdict.Bad, Signature: signature}}
	}
	lives := verdict.Cell{Name: "b/x", Status: verdict.CellFail, Result: &verdict.Result{Verdict: verdict.Good, Warnings: []verdict.Warning{{Signature: "warn/init/w"}}}}
	for _, tt := range []struct {
		name  string
		entry verdict.Allow
		cells []verdict.Cell
		want  int
	}{
		{"mistaken", verdict.Allow{Signature: "oops/*/foo"}, []verdict.Cell{dead("a/x", "oops/init/foo/bar")}, 1},
		{"it fits", verdict.Allow{Signature: "oops/*/foo*"}, []verdict.Cell{dead("a/x", "oops/init/foo/bar")}, 0},
		{"it fits another", verdict.Allow{Signature: "oops/*/foo"}, []verdict.Cell{dead("a/x", "oops/init/bar"), dead("b/x", "oops/init/foo")}, 0},
		{"of another class", verdict.Allow{Signature: "oops/*/foo"}, []verdict.Cell{dead("a/x", "bug/init/foo")}, 0},
		{"of any class", verdict.Allow{Signature: "*/foo"}, []verdict.Cell{dead("a/x", "bug/init/bar")}, 1},
		{"for other cells", verdict.Allow{Signature: "oops/*/foo", Cells: "b/*"}, []verdict.Cell{dead("a/x", "oops/init/bar"), lives}, 0},
		{"a WARN beside", verdict.Allow{Signature: "warn/*/w"}, []verdict.Cell{dead("a/x", "warn/init/bar"), lives}, 0},
		{"nobody died", verdict.Allow{Signature: "oops/*"}, []verdict.Cell{lives, {Name: "c", Status: verdict.CellSkip}}, 0},
	} {
		if got := idle([]verdict.Allow{tt.entry}, tt.cells); len(got) != tt.want {
			t.Errorf("%s: %+v, want %d", tt.name, got, tt.want)
		}
	}
	mistaken := verdict.Allow{Signature: "oops/*/fo", Owner: "me", Reason: "bug 7", Expires: "2300-01-01"}
	out, err := runs(t, &world{boots: map[string][]string{"a": {"oops/init/foo"}}}, Request{Jobs: 1, Allow: []verdict.Allow{mistaken}, Cells: []Cell{cellOf("a", "")}}, 0)
	if want := "allow: oops/*/fo of me fits no death of this run; compare their signatures"; err != nil || len(out.Notes) != 1 || out.Notes[0] != want {
		t.Errorf("%q, %v", out.Notes, err)
	}
}

// TestAllowedWarns: a boot that is bad for its WARNs is allowed when each of them is.
func TestAllowedWarns(t *testing.T) {
	list := []verdict.Allow{{Signature: "warn/init/foo"}, {Signature: "warn/*/bar"}}
	r := verdict.Result{Verdict: verdict.Bad, Class: verdict.Warn, Signature: "warn/init/foo", Warnings: []verdict.Warning{
		{Signature: "warn/init/foo"}, {Signature: "warn/userspace/bar"},
	}}
	if by := allowedBy("a", &r, list); by == nil || by.Signature != "warn/init/foo" {
		t.Errorf("allowed by %+v", by)
	}
	r.Warnings = append(r.Warnings, verdict.Warning{Signature: "warn/init/new"})
	if by := allowedBy("a", &r, list); by != nil {
		t.Errorf("a WARN that nobody allowed passes by %+v", by)
	}
	// WARNs beside a death that is not theirs do not make it bad.
	r.Class, r.Signature = verdict.Oops, "oops/init/foo"
	if by := allowedBy("a", &r, []verdict.Allow{{Signature: "oops/*"}}); by == nil {
		t.Error("the oops is not allowed")
	}
}
