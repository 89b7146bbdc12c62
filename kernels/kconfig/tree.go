package kconfig

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"strings"
)

// Bounds on what a tree may make the reader do. Linux 6.12 has 1800 files, the largest of 120 KB, included at most 6 deep.
const (
	maxFiles    = 20000
	maxFileSize = 4 << 20
	maxIncludes = 64
	maxBlocks   = 256
)

// tree is what the Kconfig files of a kernel say, as far as explanations need it.
type tree struct {
	symbols map[string]*symbol
	order   []string // names in the order of their first definition
	// selectors maps a symbol to those that select or imply it.
	selectors map[string][]selection
	// notes are places that were not understood and skipped; missing files are among them.
	notes []string
}

// symbol is all definitions of one name. typ is bool, tristate, string, int or hex, or empty when no file says.
type symbol struct {
	name        string
	typ         string
	definitions []*definition
}

// definition is one "config X" block. Its dependency is the conjunction of its own depends and those of its blocks.
type definition struct {
	symbol   *symbol
	file     string
	line     int
	block    *block
	depends  []*expr
	prompts  []prompt
	defaults []setting
	ranges   []setting
}

type prompt struct {
	text string
	cond *expr
}

// setting is a default (value) or a range (value to upper) with its condition.
type setting struct {
	value, upper *expr
	cond         *expr
}

// selection is one "select" or "imply" of a symbol: from is the definition it stands in.
type selection struct {
	from  *definition
	cond  *expr
	imply bool
}

// block is an enclosing if, menu or choice. The outermost has no parent.
type block struct {
	parent  *block
	kind    string // if, menu, choice
	depends []*expr
	visible []*expr
	prompts []prompt // of a choice
	members []*definition
	file    string // for endif and the like, which must stand in the same file
}

// readTree reads the Kconfig files of a kernel tree for ARCH=x86, beginning with Kconfig at its root. What it does not
// understand it skips and notes; only a tree without a Kconfig, or one beyond all bounds, is an error.
func readTree(fsys fs.FS) (*tree, error) {
	r := &reader{fs: fsys, tree: &tree{symbols: map[string]*symbol{}, selectors: map[string][]selection{}}}
	r.block = &block{}
	if err := r.file("Kconfig", 0); err != nil {
		return nil, fmt.Errorf("read Kconfig files: %w", err)
	}
	return r.tree, nil
}

// reader is the state of reading: the blocks and the entry that are open.
type reader struct {
	fs    fs.FS
	tree  *tree
	files int

	block *block
	depth int
	entry *definition // the config block that attributes belong to, nil after menu, choice, if and comment
	// open says what an attribute belongs to when entry is nil: menu and choice take them, others drop them.
	open *block

	name string
	line int
}

var errBounds = errors.New("beyond all bounds")

func (r *reader) note(format string, args ...any) {
	if len(r.tree.notes) < 1000 {
		r.tree.notes = append(r.tree.notes, fmt.Sprintf("%s:%d: ", r.name, r.line)+fmt.Sprintf(format, args...))
	}
}

// file reads one Kconfig file and those it sources.
func (r *reader) file(name string, includes int) error {
	if r.files++; r.files > maxFiles {
		return fmt.Errorf("more than %d files: %w", maxFiles, errBounds)
	}
	if includes > maxIncludes {
		return fmt.Errorf("%s: included more than %d deep: %w", name, maxIncludes, errBounds)
	}
	text, err := readFile(r.fs, name)
	if err != nil {
		return err
	}
	outerName, outerLine, outerDepth := r.name, r.line, r.depth
	r.name, r.line = name, 0
	lines := lineReader{text: text}
	for lines.next() {
		r.line = lines.number
		toks := tokens(lines.line)
		if len(toks) == 0 {
			continue
		}
		if toks[0].kind == word && (toks[0].text == "help" || toks[0].text == "---help---") {
			lines.skipHelp()
			continue
		}
		if toks[0].kind == word && toks[0].text == "source" {
			if err := r.source(toks[1:], includes); err != nil {
				return err
			}
			continue
		}
		r.statement(toks)
	}
	for r.depth > outerDepth {
		r.note("%s is not closed", r.block.kind)
		r.close()
	}
	r.name, r.line, r.entry, r.open = outerName, outerLine, nil, nil
	return nil
}

func (r *reader) source(args []token, includes int) error {
	r.entry, r.open = nil, nil
	if len(args) == 0 || args[0].kind == macro {
		r.note("source of an unknown file")
		return nil
	}
	name := path.Clean(args[0].text)
	if !fs.ValidPath(name) {
		r.note("source %q leaves the tree", clip(args[0].text))
		return nil
	}
	err := r.file(name, includes+1)
	if err != nil && !errors.Is(err, errBounds) {
		r.note("%v", err)
		return nil
	}
	return err
}

func readFile(fsys fs.FS, name string) (string, error) {
	info, err := fs.Stat(fsys, name) // before opening: a FIFO would not let go
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > maxFileSize {
		return "", fmt.Errorf("%s: not a Kconfig file (%s, %d bytes)", name, info.Mode(), info.Size())
	}
	f, err := fsys.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxFileSize))
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// lineReader gives logical lines: a backslash at the end joins the next one.
type lineReader struct {
	text   string
	line   string
	number int // of the first physical line, from 1
	ahead  int // physical lines consumed
}

func (l *lineReader) next() bool {
	if l.text == "" {
		return false
	}
	l.number = l.ahead + 1
	l.line = l.physical()
	for strings.HasSuffix(l.line, "\\") && l.text != "" && len(l.line) < maxLine {
		l.line = l.line[:len(l.line)-1] + " " + l.physical()
	}
	return true
}

func (l *lineReader) physical() string {
	line, rest, _ := strings.Cut(l.text, "\n")
	l.text = rest
	l.ahead++
	return strings.TrimSuffix(line, "\r")
}

// skipHelp passes over a help text: it ends before the first line, blank ones aside, that is indented less than its
// first one. scripts/kconfig/lexer.l, state HELP.
func (l *lineReader) skipHelp() {
	first := 0
	for l.text != "" {
		line, _, _ := strings.Cut(l.text, "\n")
		if indent, blank := indentation(line); !blank {
			if indent == 0 || indent < first {
				return
			}
			if first == 0 {
				first = indent
			}
		}
		l.physical()
	}
}

// indentation is the column of the first character, tabs going to multiples of 8.
func indentation(line string) (column int, blank bool) {
	for i := 0; i < len(line); i++ {
		switch line[i] {
		case ' ':
			column++
		case '\t':
			column += 8 - column%8
		case '\r':
		default:
			return column, false
		}
	}
	return 0, true
}
