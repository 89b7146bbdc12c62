package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"kcatch/harness/verdict"
)

// comparison is how two symbolizers' answers to the same addresses differ.
type comparison struct {
	equal, inlined int // answers with a line; frames in them that are inlined
	unknown        int // neither has a line
	aliases        int // of the equal ones, functions that are named after another symbol of the same address
	named          int // of these that are unknown, llvm-symbolizer names a boundary that the linker script sets, or a file by the table of symbols
	unexplained    []string

	symbols map[string]uint64 // addresses by name, to tell aliases
}

func (c comparison) String() string {
	return fmt.Sprintf("%d answers equal llvm-symbolizer's in file, line and chain, with %d inlined frames, %d by another symbol of the address; neither has a line for %d, "+
		"of which it names %d after a mark of the linker's or a file of the symbol table; %d differ",
		c.equal, c.inlined, c.aliases, c.unknown, c.named, len(c.unexplained))
}

// located is a frame of llvm-symbolizer: function, file (as the compiler had it), line.
type located struct {
	function, file string
	line           int
}

func (l located) lineless() bool { return l.line == 0 }

// parseLLVM reads the chains of llvm-symbolizer, innermost first: pairs of lines, "function" and "file:line:column", and an empty
// line behind each address.
func parseLLVM(out []byte) ([][]located, error) {
	var chains [][]located
	for block := range strings.SplitSeq(strings.TrimSuffix(string(out), "\n\n"), "\n\n") {
		lines := strings.Split(strings.Trim(block, "\n"), "\n")
		if len(lines)%2 != 0 {
			return nil, fmt.Errorf("llvm-symbolizer: odd output %q", block)
		}
		var chain []located
		for i := 0; i < len(lines); i += 2 {
			at := lines[i+1]
			at = at[:max(0, strings.LastIndexByte(at, ':'))] // without the column
			colon := max(0, strings.LastIndexByte(at, ':'))
			n, err := strconv.Atoi(strings.TrimPrefix(at[colon:], ":"))
			if err != nil {
				return nil, fmt.Errorf("llvm-symbolizer: odd line %q", lines[i+1])
			}
			chain = append(chain, located{lines[i], at[:colon], n})
		}
		chains = append(chains, chain)
	}
	return chains, nil
}

// compareAnswers compares kcatch's JSON lines with llvm-symbolizer's text.
//
// They write the same differently: llvm-symbolizer has the compiler's directory before a file's name and "??" for what is not known,
// and names the function that owns the code by its symbol (f.constprop.0). Where an address has several symbols, as
// __x64_sys_geteuid and __ia32_sys_geteuid, it may take another; symbols has the addresses of both, as readelf -s has.
//
// Without a line they differ in what has no debug information, which is counted: for padding behind the last function
// llvm-symbolizer 14 gives the nearest symbol whatever it is (__kprobes_text_end), and for a symbol without a unit the last file that
// the symbol table names (usercopy_64.c, of 6.12's __pfx_ padding).
func compareAnswers(addrs []string, symbols map[string]uint64, ours, theirs []byte) (c comparison, err error) {
	c.symbols = symbols
	chains, err := parseLLVM(theirs)
	if err != nil {
		return c, err
	}
	lines := bytes.Split(bytes.TrimSuffix(ours, []byte("\n")), []byte("\n"))
	if len(lines) != len(addrs) || len(chains) != len(addrs) {
		return c, fmt.Errorf("%d addresses, %d answers of kcatch, %d of llvm-symbolizer", len(addrs), len(lines), len(chains))
	}
	for i, line := range lines {
		var p verdict.Place
		if err := json.Unmarshal(line, &p); err != nil {
			return c, fmt.Errorf("kcatch: %q: %w", line, err)
		}
		c.add(addrs[i], p.Frames, chains[i])
	}
	return c, nil
}

func (c *comparison) add(addr string, ours []verdict.PlaceFrame, theirs []located) {
	without := !slices.ContainsFunc(ours, func(f verdict.PlaceFrame) bool { return f.Line != 0 })
	switch {
	case without && !slices.ContainsFunc(theirs, func(l located) bool { return !l.lineless() }):
		c.unknown++
		symbol := "??"
		if len(ours) > 0 && ours[0].Symbol != "" {
			symbol = ours[0].Symbol
		}
		if l := theirs[len(theirs)-1]; l.function != symbol || l.file != "??" && (len(ours) == 0 || ours[len(ours)-1].File == "") {
			c.named++
		}
	case sameChain(ours, c.unaliased(ours, theirs)):
		c.equal++
		c.inlined += len(ours) - 1
		if !sameChain(ours, theirs) {
			c.aliases++
		}
	default:
		c.unexplained = append(c.unexplained, fmt.Sprintf("%s: kcatch %+v, llvm-symbolizer %+v", addr, ours, theirs))
	}
}

// unaliased names the function that owns the code as kcatch does, if both names are symbols of one address.
func (c *comparison) unaliased(ours []verdict.PlaceFrame, theirs []located) []located {
	if len(ours) == 0 {
		return theirs
	}
	theirs = slices.Clone(theirs)
	last := &theirs[len(theirs)-1]
	a, okA := c.symbols[last.function]
	b, okB := c.symbols[ours[len(ours)-1].Symbol]
	if okA && okB && a == b {
		last.function = ours[len(ours)-1].Symbol
	}
	return theirs
}

func sameChain(ours []verdict.PlaceFrame, theirs []located) bool {
	if len(ours) != len(theirs) {
		return false
	}
	for i, f := range ours {
		l := theirs[i]
		last := i == len(ours)-1
		name := f.Function == l.function || last && f.Symbol == l.function || f.Function == "" && l.function == "??"
		if file := path.Clean(l.file); !name || f.Line != l.line || f.Inline == last ||
			file != f.File && !strings.HasSuffix(file, "/"+f.File) && !(f.File == "" && l.file == "??") || f.File == "" && l.file != "??" {
			return false
		}
	}
	return true
}
