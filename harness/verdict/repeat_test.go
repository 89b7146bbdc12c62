package verdict

import "testing"

func TestRepeated(t *testing.T) {
	var r Repeated
	good := Result{Verdict: Good, Class: OK}
	oops := Result{Verdict: Bad, Class: Oops, Signature: "oops/initcall/f"}
	other := Result{Verdict: Bad, Class: Oops, Signature: "oops/initcall/g"}
	for _, b := range []Result{oops, good, good, other} {
		r.Add(b)
	}
	if r.Boots != 4 || len(r.Outcomes) != 3 || r.Outcomes[0].Count != 2 || r.Outcomes[0].Result.Class != OK {
		t.Fatalf("%+v", r)
	}
	if got := r.ExitCode((*Result).ExitCode); got != ExitBad {
		t.Errorf("exit code %d", got)
	}
	only := Match{Class: Oops, Function: "h"}
	if got := r.ExitCode(only.OnlyCode); got != ExitSkip {
		t.Errorf("exit code %d with --only another", got)
	}
	var all Repeated
	all.Add(good)
	if got := all.ExitCode((*Result).ExitCode); got != ExitGood {
		t.Errorf("exit code %d of a good boot", got)
	}
}
