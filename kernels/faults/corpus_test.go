package faults

import (
	"regexp"
	"strings"
	"testing"

	"kcatch/internal/blame"
)

// TestAll: the corpus can be read, has the size that it must have, and every diff that a kernel names is there.
func TestAll(t *testing.T) {
	c, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(c.Faults) < 40 {
		t.Errorf("%d faults, want 40 at least", len(c.Faults))
	}
	for _, k := range c.Kernels {
		for _, p := range k.Patches {
			if _, ok := Diff(p); strings.HasSuffix(p, ".diff") && !ok {
				t.Errorf("%s: no %s here", k.Where, p)
			}
		}
	}
}

// TestSelectedFaultsAreInTheDiff: a name that the kernel does not know would boot it as if nothing were the matter.
func TestSelectedFaultsAreInTheDiff(t *testing.T) {
	diff, ok := Diff("selectable.diff")
	if !ok {
		t.Fatal("no selectable.diff")
	}
	c, err := All()
	if err != nil {
		t.Fatal(err)
	}
	name := regexp.MustCompile(`kcatch_fault=([a-z0-9]+)-([a-z0-9-]+)|echo ([a-z-]+) >/proc/kcatch_fault`)
	special := map[string]bool{"panic": true, "sleep": true}
	for _, f := range c.Faults {
		for _, m := range name.FindAllStringSubmatch(f.Append+" "+f.Run, -1) {
			when, what := m[1], m[2]+m[3]
			if rest, ok := strings.CutPrefix(what, "in-"); ok { // in-INSIDE-WHAT
				inside, rest, _ := strings.Cut(rest, "-")
				if !strings.Contains(string(diff), `{ "`+inside+`-", `) {
					t.Errorf("%s: fault %s is inside %s, which selectable.diff does not know", f.Where, f.Name, inside)
				}
				what = rest
			}
			known := special[what] || strings.Contains(string(diff), `{ "`+what+`", `)
			if when == "startup" || when == "decompressor" {
				known = strings.Contains(string(diff), "kcatch_"+when+"_"+what+"(")
			}
			if !known {
				t.Errorf("%s: fault %s asks for %s, which selectable.diff does not know", f.Where, f.Name, what)
			}
		}
	}
}

func TestMatch(t *testing.T) {
	c := Corpus{Faults: []Fault{{Name: "early-bug"}, {Name: "early-warn"}, {Name: "late-bug"}}}
	for _, tc := range []struct{ glob, want, err string }{
		{"", "early-bug early-warn late-bug", ""},
		{"early-*", "early-bug early-warn", ""},
		{"*-bug", "early-bug late-bug", ""},
		{"early-bgu", "", "--only early-bgu: no fault has such a name"},
		{"[", "", "--only [: not a glob"},
	} {
		list, err := c.Match(tc.glob)
		var got []string
		for _, f := range list {
			got = append(got, f.Name)
		}
		if strings.Join(got, " ") != tc.want {
			t.Errorf("%q gives %v, want %s", tc.glob, got, tc.want)
		}
		if tc.err == "" && err != nil || tc.err != "" && (err == nil || err.Error() != tc.err || blame.Of(err) != blame.Usage) {
			t.Errorf("%q: %v, want %s", tc.glob, err, tc.err)
		}
	}
}
