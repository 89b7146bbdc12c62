package vmlinux

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"
)

// LineCode is what [File.LineCode] finds of a line of the source.
type LineCode struct {
	// Files are the files that the name fits, relative to the kernel tree, sorted.
	Files []string
	// Code has one address for each instance of the code that the line is in: each function, and each inlined copy. It is
	// the lowest of the statement rows there. Sorted.
	Code []Addr
	// Before and After are the nearest lines of these files with code; 0 for none. They are for a line without.
	Before, After int
}

// LineCode finds the code of a line: the rows of the line tables of all units that are recommended breakpoint locations
// (is_stmt, DWARF 5 section 6.2.2). name is a file relative to the kernel tree, or the end of such a name at a slash. A line
// of a header has code wherever it is inlined.
//
// It reads the head of every unit's line table: 50 ms (tiny kernel) to 2 s (Debian's).
// A file without debug information is an [*UnknownError].
func (f *File) LineCode(name string, line int) (LineCode, error) {
	if !f.HasDWARF() {
		return LineCode{}, &UnknownError{Reason: NoDebugInfo}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s := lineSearch{want: path.Clean(name), line: line, tree: f.tree(), files: map[string]bool{}, code: map[instance]Addr{}}
	err := f.eachUnit(func(off uint64, _ []byte) error {
		u, err := f.loadUnit(off)
		if err != nil {
			return err
		}
		return s.unit(f, u)
	})
	out := LineCode{Before: s.before, After: s.after}
	for name := range s.files {
		out.Files = append(out.Files, name)
	}
	for _, a := range s.code {
		if !slices.Contains(out.Code, a) {
			out.Code = append(out.Code, a)
		}
	}
	slices.Sort(out.Files)
	slices.Sort(out.Code)
	if err != nil {
		err = fmt.Errorf("code of %s:%d: %w", name, line, err)
	}
	return out, err
}

// instance is one copy of the code of a function: its entry in a unit.
type instance struct {
	unit  uint64
	entry int
}

type lineSearch struct {
	want  string
	line  int
	tree  *sourceTree
	files map[string]bool
	code  map[instance]Addr

	before, after int
}

// unit looks through one unit's line table, if it has the file.
func (s *lineSearch) unit(f *File, u *unit) error {
	section := u.tables.line
	if !u.first.hasLines || section == nil {
		return nil
	}
	if err := checkLineHeader(section, int64(u.first.lines)); err != nil {
		return err
	}
	data, err := u.dwarf()
	if err != nil {
		return err
	}
	root, err := u.decode(u.root.off)
	if err != nil {
		return err
	}
	return guard(".debug_line", func() error {
		r, err := data.LineReader(root)
		if err != nil || r == nil {
			return err
		}
		mine := map[*dwarf.LineFile]string{}
		for _, file := range r.Files() {
			if file == nil || !strings.HasSuffix(file.Name, path.Base(s.want)) {
				continue
			}
			if name, _ := s.tree.relative(u, file.Name); endsIn(name, s.want) {
				mine[file] = name
			}
		}
		if len(mine) == 0 {
			return nil
		}
		return s.rows(u, r, mine)
	})
}

func (s *lineSearch) rows(u *unit, r *dwarf.LineReader, mine map[*dwarf.LineFile]string) error {
	var e dwarf.LineEntry
	for range maxRows {
		if err := r.Next(&e); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		name, ok := mine[e.File]
		if !ok || e.EndSequence || !e.IsStmt || e.Line <= 0 || e.Address == 0 { // a discarded section begins at 0
			continue
		}
		s.files[name] = true
		switch {
		case e.Line < s.line:
			s.before = max(s.before, e.Line)
		case e.Line > s.line:
			if s.after == 0 || e.Line < s.after {
				s.after = e.Line
			}
		case len(s.code) < MaxInstances:
			at := s.instance(u, Addr(e.Address), r.Files(), mine)
			if old, ok := s.code[at]; !ok || Addr(e.Address) < old {
				s.code[at] = Addr(e.Address)
			}
		}
	}
	return nil
}

// instance names the copy of the function that has the line, of those that a is in: a row may begin where code that is inlined
// into the line does, too. Code of no function, as assembly, is one for itself.
func (s *lineSearch) instance(u *unit, a Addr, files []*dwarf.LineFile, mine map[*dwarf.LineFile]string) instance {
	own := instance{unit: ^uint64(0), entry: int(a)}
	if u.assembly() {
		return own
	}
	function, found, err := u.function(a)
	if err != nil || !found {
		return own
	}
	chain, err := u.inlineChain(function, a)
	if err != nil || len(chain) == 0 {
		return own
	}
	for i, e := range chain[1:] {
		inner := chain[i]
		n := inner.callFile
		if inner.callLine == s.line && n >= 0 && n < len(files) && mine[files[n]] != "" {
			return instance{unit: u.off, entry: e.off}
		}
	}
	return instance{unit: u.off, entry: chain[0].off}
}

// endsIn reports whether a file's name is the one that is meant, or ends in it at a slash.
func endsIn(name, want string) bool {
	rest, ok := strings.CutSuffix(name, want)
	return ok && (rest == "" || strings.HasSuffix(rest, "/"))
}
