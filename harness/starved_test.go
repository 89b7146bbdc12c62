package harness

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// TestStarvedIsBootedOnceMore: a machine without a timer gives the panic that a host which is too busy gives now and then. It
// is tried once more, and then believed, with a note; what the user has in --out stays.
func TestStarvedIsBootedOnceMore(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Machine = "q35,pit=off,hpet=off"
	mine := filepath.Join(p.Out, "notes.txt")
	if err := os.WriteFile(mine, []byte("mine"), 0o644); err != nil {
		t.Fatal(err)
	}
	r := boots(t, p)
	if r.Class != verdict.Panic || r.Cause == nil || r.Cause.Function != "check_timer" || !slices.Contains(r.Notes, starvedNote) {
		t.Errorf("class %s, cause %+v, notes %q", r.Class, r.Cause, r.Notes)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}
}

func TestStarved(t *testing.T) {
	panicked := &verdict.Result{Class: verdict.Panic, Summary: "panic: " + starvedPanic + "  Boot with apic=debug in check_timer()"}
	heldThere := &verdict.Result{Class: verdict.Panic, Summary: "panic: " + starvedPanic + "  Boot with apic=debug and send a report. in check_timer()",
		Notes: []string{"the panic's text is from panic()'s arguments: the log does not have it yet"}}
	for _, tc := range []struct {
		name  string
		accel machine.Accel
		r     *verdict.Result
		want  bool
	}{
		{"under TCG", machine.TCG, panicked, true},
		{"under KVM the clock is the guest's", machine.KVM, panicked, false},
		{"at the entry of panic(), where the text is its argument", machine.TCG, heldThere, true},
		{"another panic", machine.TCG, &verdict.Result{Class: verdict.Panic, Summary: "panic: VFS"}, false},
		{"only in words", machine.TCG, &verdict.Result{Class: verdict.Oops, Summary: starvedPanic}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			b := boot{accel: tc.accel}
			if got := b.starved(tc.r); got != tc.want {
				t.Errorf("starved = %v, want %v", got, tc.want)
			}
		})
	}
}
