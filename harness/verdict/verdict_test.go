package verdict

import (
	"context"
	"encoding/json"
	"errors"
	"testing"

	"kcatch/internal/blame"
)

func TestExitFor(t *testing.T) {
	for _, tc := range []struct {
		name string
		err  error
		want int
	}{
		{"usage", blame.New(blame.Usage, "no such file", ""), 129},
		{"build", blame.New(blame.Build, "hunk fails", ""), 125},
		{"infrastructure", blame.New(blame.Infrastructure, "no qemu", ""), 131},
		{"cancelled", context.Canceled, 130},
		{"nobody's", errors.New("what"), 131},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got := ExitFor(tc.err); got != tc.want {
				t.Errorf("ExitFor(%v) = %d, want %d", tc.err, got, tc.want)
			}
		})
	}
}

func TestMatch(t *testing.T) {
	death := &Result{Verdict: Bad, Class: EarlyException, Cause: &Cause{Function: "__SetPageReserved", InlinedInto: []string{"init_unavailable_range"}}}
	good := &Result{Verdict: Good, Class: OK}
	for _, tc := range []struct {
		match        string
		result       *Result
		expect, only int
	}{
		{"early-exception", death, 0, 1},
		{"early-exception:__SetPageReserved", death, 0, 1},
		{"early-exception:init_unavailable_range", death, 0, 1},
		{"early-exception:setup_arch", death, 1, 125},
		{"panic", death, 1, 125},
		{"panic", good, 1, 0},
		{"ok", good, 0, 0},
	} {
		m, err := ParseMatch(tc.match)
		if err != nil {
			t.Fatal(err)
		}
		if e, o := m.ExpectCode(tc.result), m.OnlyCode(tc.result); e != tc.expect || o != tc.only {
			t.Errorf("%s on %s: expect %d only %d, want %d %d", tc.match, tc.result.Class, e, o, tc.expect, tc.only)
		}
	}
	if _, err := ParseMatch("early-exeption"); err == nil {
		t.Error("a misspelt class was taken")
	}
}

func TestSignHasNoSuffixesAndNoNoise(t *testing.T) {
	got := Sign(EarlyException, EarlyIDT, []Frame{{Function: "foo.constprop.0"}, {Function: "bar.isra.3.cold"}, {Function: "secondary_startup_64"}, {Function: "common_startup_64"}})
	if want := "early-exception/early-idt/foo/bar"; got != want {
		t.Errorf("Sign = %q, want %q", got, want)
	}
}

func TestHexKeepsAllBits(t *testing.T) {
	in := Hex(0xffffffff8305b298)
	b, err := json.Marshal(in)
	if err != nil || string(b) != `"0xffffffff8305b298"` {
		t.Fatalf("Marshal = %s, %v", b, err)
	}
	var out Hex
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("Unmarshal = %v, %v", out, err)
	}
	if json.Unmarshal([]byte(`"zz"`), &out) == nil {
		t.Error("a value that is no number was taken")
	}
}
