package survey

import (
	"cmp"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// seen is a distinct chain with its names.
type seen struct {
	point string
	// called: the site is the call of the innermost function.
	called bool
	line   int // of the innermost frame, that the point was named by; 0: by a function. One address may be of several lines.
	verdict.Sighting
	atLeast bool
}

// site is the index of the frame that is the site of a chain. Code of a header says nothing of who is at fault: the site is the
// first frame outward that is in none.
func (s *seen) site() int {
	at := 0
	if s.called && at+1 < len(s.Frames) {
		at++
	}
	for at+1 < len(s.Frames) && strings.HasSuffix(s.Frames[at].File, ".h") {
		at++
	}
	return at
}

// place tells sites apart: what is inlined into one counts, for two assertions may stand in one line.
type place struct {
	point, function, module, file string
	line                          int
	inner                         string
}

// sites groups distinct chains by their sites and sorts these.
func sites(all []seen) []verdict.Site {
	out := []verdict.Site{}
	index := map[place]int{}
	for i := range all {
		s := &all[i]
		if len(s.Frames) == 0 {
			s.Frames = []verdict.Frame{{Reason: s.Stopped}}
		}
		at := s.site()
		f, innermost := s.Frames[at], s.Frames[0]
		if s.line > 0 {
			innermost.Line = s.line
		}
		if at == 0 {
			f = innermost
		}
		key := place{point: s.point, function: f.Function, module: f.Module, file: f.File, line: f.Line}
		var inner *verdict.Inner
		if in := &innermost; !s.called && at > 0 {
			inner = &verdict.Inner{Function: in.Function, File: in.File, Line: in.Line}
			key.inner = in.Function
		}
		n, ok := index[key]
		if !ok {
			n = len(out)
			index[key] = n
			out = append(out, verdict.Site{Point: s.point, Function: f.Function, Module: f.Module, File: f.File, Line: f.Line, Inlined: inner,
				Stage: s.Stage, Frames: s.Frames, Values: s.Values})
		}
		site := &out[n]
		site.Count += s.Count
		site.AtLeast = site.AtLeast || s.atLeast
		site.Chains = append(site.Chains, s.Sighting)
		if !slices.Contains(site.Stages, s.Stage) {
			site.Stages = append(site.Stages, s.Stage)
		}
	}
	slices.SortStableFunc(out, func(a, b verdict.Site) int {
		return cmp.Or(cmp.Compare(when(a.Stage), when(b.Stage)), cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line),
			cmp.Compare(a.Function, b.Function), cmp.Compare(a.Point, b.Point))
	})
	return out
}

// when is a stage's place in a boot.
func when(s verdict.Stage) int { return slices.Index(verdict.Stages(), s) }
