package kernels

import (
	"fmt"
	"strings"
)

// explain says why a hunk does not fit on the file's lines: what the hunk expects and the file does not have. It is called
// only for hunks that git has refused.
func explain(h hunk, file []string) string {
	if len(h.Old) == 0 {
		return "it adds lines where the file already has others"
	}
	if len(h.New) > 0 && find(h.New, file) >= 0 && find(h.Old, file) < 0 {
		return "already applied: the file has the lines that it adds"
	}
	have := make(map[string]bool, len(file))
	for _, l := range file {
		have[l] = true
	}
	for i, l := range h.Old {
		if !have[l] && strings.TrimSpace(l) != "" {
			if near := sameButBlanks(l, file); near > 0 {
				return fmt.Sprintf("line %d of the hunk differs in white space from line %d of the file: %s", i+1, near, clip(l))
			}
			return "context line not found in the file: " + clip(l)
		}
	}
	at, same := nearest(h, file)
	for i, l := range h.Old {
		n := at + i
		switch {
		case n >= len(file):
			return fmt.Sprintf("the file ends at line %d, before: %s", len(file), clip(l))
		case file[n] != l:
			return fmt.Sprintf("at its best place, line %d of the file (%d of %d lines fit), line %d should be %q and is %q",
				at+1, same, len(h.Old), n+1, clip(l), clip(file[n]))
		}
	}
	return fmt.Sprintf("its lines stand at line %d of the file, where an earlier hunk has been", at+1)
}

// misplaced says why git refuses a hunk whose lines are in the file, at index at: a hunk that starts with line 1 must stand at the file's
// beginning, one without context behind its last change at the file's end (git's apply.c, match_beginning and match_end).
func misplaced(h hunk, at int, file []string) string {
	switch {
	case h.OldStart <= 1 && at != 0:
		return fmt.Sprintf("its lines stand at line %d of the file, and the hunk says that they begin it", at+1)
	case h.Tail == 0 && at+len(h.Old) != len(file):
		return fmt.Sprintf("its lines stand at line %d of the file, and the hunk says that they end it: it has no context after its last change", at+1)
	}
	return ""
}

// find returns the index of the first place where want stands in file, or -1.
func find(want, file []string) int {
next:
	for at := 0; at+len(want) <= len(file); at++ {
		for i, l := range want {
			if file[at+i] != l {
				continue next
			}
		}
		return at
	}
	return -1
}

// nearest returns the place with the most fitting lines, the one nearest to the hunk's own line number among equals.
func nearest(h hunk, file []string) (at, same int) {
	best := -1
	for i := range file {
		n := 0
		for j, l := range h.Old {
			if i+j < len(file) && file[i+j] == l {
				n++
			}
		}
		if n > best || n == best && distance(i, h.OldStart-1) < distance(at, h.OldStart-1) {
			at, best = i, n
		}
	}
	return at, max(best, 0)
}

func distance(a, b int) int { return max(a-b, b-a) }

// sameButBlanks returns the line number (from 1) of a line that is l but for white space, or 0.
func sameButBlanks(l string, file []string) int {
	want := strings.Join(strings.Fields(l), " ")
	for i, f := range file {
		if strings.Join(strings.Fields(f), " ") == want {
			return i + 1
		}
	}
	return 0
}
