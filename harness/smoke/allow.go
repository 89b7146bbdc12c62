package smoke

import (
	"slices"
	"strings"
	"time"

	"kcatch/harness/verdict"
)

// dateForm is how an entry of the allow list writes its last day.
const dateForm = time.DateOnly

// holding splits an allow list into the entries that hold on the day of now, and those that have expired. The last day belongs to an
// entry. One whose date cannot be read has expired: it must not let anything pass.
func holding(list []verdict.Allow, now time.Time) (hold, expired []verdict.Allow) {
	today := now.Format(dateForm)
	for _, e := range list {
		if day, err := time.Parse(dateForm, e.Expires); err != nil || today > day.Format(dateForm) {
			expired = append(expired, e)
			continue
		}
		hold = append(hold, e)
	}
	return hold, expired
}

// allowedBy is the entry that lets a bad boot pass; nil when none does. Where WARNs made it bad, every one of them must be allowed.
func allowedBy(cell string, r *verdict.Result, list []verdict.Allow) *verdict.Allow {
	for _, s := range signatures(r) {
		if allowing(cell, s, list) == nil {
			return nil
		}
	}
	return allowing(cell, r.Signature, list)
}

// signatures are what made a boot bad: its death or, where WARNs did, all of them, of which its own signature is the first one's.
func signatures(r *verdict.Result) []string {
	all := []string{r.Signature}
	if r.Class == verdict.Warn {
		for i := range r.Warnings {
			if s := r.Warnings[i].Signature; s != "" && !slices.Contains(all, s) {
				all = append(all, s)
			}
		}
	}
	return all
}

// allowing is the first entry for a signature.
func allowing(cell, signature string, list []verdict.Allow) *verdict.Allow {
	for i := range list {
		if e := &list[i]; signature != "" && like(e.Signature, signature) && (e.Cells == "" || like(e.Cells, cell)) {
			return e
		}
	}
	return nil
}

// idle are the entries that fit nothing of a run, though a kernel died of their class in a cell that they are for: such an entry may be
// meant for that death, and be mistaken. Nothing is said of one whose cells live, since a splat may be rare.
func idle(list []verdict.Allow, cells []verdict.Cell) []verdict.Allow {
	var out []verdict.Allow
	for i := range list {
		one, died := list[i:i+1], false
		class, _, _ := strings.Cut(list[i].Signature, "/")
		if !slices.ContainsFunc(cells, func(c verdict.Cell) bool {
			r := c.Result
			if r == nil || one[0].Cells != "" && !like(one[0].Cells, c.Name) {
				return false
			}
			of, _, _ := strings.Cut(r.Signature, "/")
			died = died || r.Verdict == verdict.Bad && like(class, of) && (c.Status == verdict.CellFail || c.Status == verdict.CellFlaky)
			return allowing(c.Name, r.Signature, one) != nil ||
				slices.ContainsFunc(r.Warnings, func(w verdict.Warning) bool { return allowing(c.Name, w.Signature, one) != nil })
		}) && died {
			out = append(out, list[i])
		}
	}
	return out
}

// like reports whether s is what pattern says, in which each * stands for any run of characters, slashes and none included.
func like(pattern, s string) bool {
	first, rest, star := strings.Cut(pattern, "*")
	s, ok := strings.CutPrefix(s, first)
	if !ok || !star {
		return ok && s == ""
	}
	parts := strings.Split(rest, "*")
	for _, part := range parts[:len(parts)-1] { // the first place is the best one: it leaves most
		if _, s, ok = strings.Cut(s, part); !ok {
			return false
		}
	}
	return strings.HasSuffix(s, parts[len(parts)-1])
}
