package kernels

import (
	"bytes"
	"errors"
	"fmt"
	"path"
	"strconv"
	"strings"
)

// A fileDiff is what a diff says about one file. It is read to know which files a patch needs and to explain a hunk that
// does not fit; the applying itself is git's.
type fileDiff struct {
	// Old and New are the names with the prefix they have in the diff ("a/mm/slub.c"); "/dev/null" for none.
	Old, New string
	Hunks    []hunk
	Binary   bool
}

// A hunk is one @@ section.
type hunk struct {
	Header   string // "@@ -401,14 +401,16 @@", without the function's name behind it
	OldStart int    // first line in the old file, from 1
	Old, New []string
	Tail     int // context lines after its last change
	Line     int // where it stands in the diff, from 1
}

const devNull = "/dev/null"

// errNoDiff says that a text has no diff in it at all.
var errNoDiff = errors.New(`no "--- a/FILE" and no "diff --git" line in it`)

// maxDiff bounds a patch file in bytes. A whole stable point release has 10 MB.
const maxDiff = 256 << 20

// parseDiff reads a unified diff, git's or plain; text before, between and after the files is skipped.
func parseDiff(data []byte) ([]fileDiff, error) {
	if bytes.IndexByte(data[:min(len(data), 8192)], 0) >= 0 {
		return nil, errors.New("it is binary data")
	}
	p := diffParser{lines: strings.Split(string(data), "\n")}
	for p.n = 0; p.n < len(p.lines); p.n++ {
		if err := p.line(); err != nil {
			return nil, err
		}
	}
	if len(p.files) == 0 {
		return nil, errNoDiff
	}
	return p.files, nil
}

type diffParser struct {
	lines []string
	n     int
	files []fileDiff
	open  bool // the last file's header has been seen, its hunks or ---/+++ lines may follow
}

func (p *diffParser) line() error {
	l := p.lines[p.n]
	switch {
	case strings.HasPrefix(l, "diff --git "):
		old, new, ok := gitNames(strings.TrimSuffix(l[len("diff --git "):], "\r"))
		if !ok {
			return fmt.Errorf("line %d: no two names: %s", p.n+1, clip(l))
		}
		p.files, p.open = append(p.files, fileDiff{Old: old, New: new}), true
	case strings.HasPrefix(l, "--- ") && p.n+1 < len(p.lines) && strings.HasPrefix(p.lines[p.n+1], "+++ "):
		old, new := diffName(l[4:]), diffName(p.lines[p.n+1][4:])
		if p.open {
			f := &p.files[len(p.files)-1]
			f.Old, f.New = old, new
		} else {
			p.files = append(p.files, fileDiff{Old: old, New: new})
		}
		p.n++
		p.open = false
	case p.open && strings.HasPrefix(l, "new file mode"):
		p.files[len(p.files)-1].Old = devNull
	case p.open && strings.HasPrefix(l, "deleted file mode"):
		p.files[len(p.files)-1].New = devNull
	case p.open && (strings.HasPrefix(l, "GIT binary patch") || strings.HasPrefix(l, "Binary files ")):
		p.files[len(p.files)-1].Binary = true
	case strings.HasPrefix(l, "@@ -") && len(p.files) > 0:
		return p.hunk()
	}
	return nil
}

// hunk reads "@@ -401,14 +401,16 @@ name" and its lines.
func (p *diffParser) hunk() error {
	l := p.lines[p.n]
	end := strings.Index(l[3:], " @@")
	if end < 0 {
		return nil // text that looks like one
	}
	h := hunk{Header: l[:3+end+3], Line: p.n + 1}
	var counts [4]int
	spans := strings.Fields(l[3 : 3+end])
	if len(spans) != 2 || len(spans[1]) == 0 || spans[1][0] != '+' {
		return fmt.Errorf("line %d: not a hunk's header: %s", p.n+1, clip(l))
	}
	for i, s := range spans {
		start, n, ok := strings.Cut(s[1:], ",")
		if !ok {
			n = "1"
		}
		var err1, err2 error
		counts[2*i], err1 = strconv.Atoi(start)
		counts[2*i+1], err2 = strconv.Atoi(n)
		if err1 != nil || err2 != nil || counts[2*i+1] < 0 {
			return fmt.Errorf("line %d: not a hunk's header: %s", p.n+1, clip(l))
		}
	}
	h.OldStart = counts[0]
	old, new := counts[1], counts[3]
	for old > 0 || new > 0 {
		p.n++
		if p.n >= len(p.lines) {
			return fmt.Errorf("line %d: the hunk %s is cut off: %d more lines of the old file and %d of the new one belong to it",
				p.n, h.Header, old, new)
		}
		l := p.lines[p.n]
		switch {
		case l == "" || l == "\r": // an empty context line whose blank was lost on the way
			h.Old, h.New = append(h.Old, ""), append(h.New, "")
			old, new, h.Tail = old-1, new-1, h.Tail+1
		case l[0] == ' ':
			h.Old, h.New = append(h.Old, l[1:]), append(h.New, l[1:])
			old, new, h.Tail = old-1, new-1, h.Tail+1
		case l[0] == '-':
			h.Old, old, h.Tail = append(h.Old, l[1:]), old-1, 0
		case l[0] == '+':
			h.New, new, h.Tail = append(h.New, l[1:]), new-1, 0
		case l[0] == '\\': // "\ No newline at end of file"
		default:
			return fmt.Errorf("line %d: the hunk %s is broken by a line that starts with none of blank, + and -: %s", p.n+1, h.Header, clip(l))
		}
	}
	f := &p.files[len(p.files)-1]
	f.Hunks = append(f.Hunks, h)
	p.open = false
	return nil
}

// diffName takes the name from a --- or +++ line: up to a tab (a time follows), quoted in C's way when it is odd.
func diffName(s string) string {
	s = strings.TrimSuffix(s, "\r")
	if strings.HasPrefix(s, `"`) {
		if end := strings.LastIndexByte(s, '"'); end > 0 {
			return unquoteC(s[:end+1])
		}
	}
	s, _, _ = strings.Cut(s, "\t")
	return strings.TrimRight(s, " ")
}

// gitNames splits "a/x b/x". Names with blanks are only told apart when both are the same behind their prefix, which is
// git's own rule (apply.c, git_header_name); other pairs have rename lines or ---/+++ lines.
func gitNames(s string) (old, new string, ok bool) {
	if strings.HasPrefix(s, `"`) {
		if end := closingQuote(s); end > 0 && end+2 < len(s) {
			return unquoteC(s[:end+1]), diffName(s[end+2:]), true
		}
		return "", "", false
	}
	for i := range len(s) {
		if s[i] != ' ' {
			continue
		}
		_, a, ok1 := strings.Cut(s[:i], "/")
		_, b, ok2 := strings.Cut(s[i+1:], "/")
		if ok1 && ok2 && a == b {
			return s[:i], s[i+1:], true
		}
	}
	old, new, ok = strings.Cut(s, " ")
	return old, diffName(new), ok && old != "" && new != ""
}

func closingQuote(s string) int {
	for i := 1; i < len(s); i++ {
		switch s[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return -1
}

func unquoteC(s string) string {
	// strconv reads C's escapes, octal ones included, as git writes them (quote.c).
	if u, err := strconv.Unquote(s); err == nil {
		return u
	}
	return strings.Trim(s, `"`)
}

// stripped removes the first n components of a diff's name; ok is false for /dev/null and for a name that leaves the tree.
func stripped(name string, n int) (rel string, ok bool) {
	if name == devNull || name == "" {
		return "", false
	}
	for ; n > 0; n-- {
		_, rest, found := strings.Cut(name, "/")
		if !found {
			return "", false
		}
		name = strings.TrimLeft(rest, "/")
	}
	return name, localName(name)
}

// localName reports whether a slash-separated name stays inside the tree it is relative to.
func localName(name string) bool {
	if name == "" || name[0] == '/' || strings.IndexByte(name, 0) >= 0 {
		return false
	}
	clean := path.Clean(name)
	return clean == name && clean != "." && clean != ".." && !strings.HasPrefix(clean, "../")
}

// clip shortens a line for a message.
func clip(s string) string {
	s = printable([]byte(strings.TrimSpace(s)))
	if len(s) > 80 {
		return s[:77] + "..."
	}
	return s
}
