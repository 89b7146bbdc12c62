package vmlinux

import (
	"debug/dwarf"
	"slices"
)

// functionRange says that the subprogram at off of the unit has code at [low, high). Cold parts are ranges of their own.
type functionRange struct {
	low, high uint64
	off       int
}

// maxOrigins bounds a chain of DW_AT_abstract_origin and DW_AT_specification, which a hostile file can close to a ring.
// (That, and loading every variable of a function, is why delve's godwarf.LoadTree is not used here: it follows rings
// for ever. The tests compare with it.)
const maxOrigins = 8

// maxInlines bounds the depth of inlining; the deepest in Debian's kernels is below 20.
const maxInlines = 256

// function returns the subprogram with the code at a.
func (u *unit) function(a Addr) (die, bool, error) {
	if !u.funcsDone {
		u.funcsDone = true
		u.functions, u.funcsErr = u.readFunctions()
	}
	best := functionRange{high: ^uint64(0)}
	found := false
	for _, r := range u.functions {
		if uint64(a) >= r.low && uint64(a) < r.high && (!found || r.high-r.low < best.high-best.low) {
			best, found = r, true
		}
	}
	if !found {
		return die{}, false, u.funcsErr
	}
	d, err := u.dieAt(best.off)
	return d, err == nil, err
}

// readFunctions lists the code of the unit's subprograms.
func (u *unit) readFunctions() ([]functionRange, error) {
	var functions []functionRange
	var ranges [][2]uint64
	err := u.walk(u.root, true, func(d die, depth int) (bool, error) {
		if d.abbrev.tag == dwarf.TagNamespace || d.abbrev.tag == dwarf.TagModule { // Rust
			return depth < maxInlines, nil
		}
		if d.abbrev.tag != dwarf.TagSubprogram || !d.abbrev.hasPC {
			return false, nil
		}
		e, err := u.read(d)
		if err != nil {
			return false, err
		}
		ranges, err = u.rangesOf(ranges[:0], &e)
		if err != nil {
			return false, err
		}
		for _, r := range ranges {
			if r[0] != 0 && r[0] < r[1] {
				functions = append(functions, functionRange{r[0], r[1], d.off})
			}
		}
		return false, nil
	})
	return functions, err
}

// inlineChain returns the entries around a, innermost first: inlined subroutines, and last the function itself.
func (u *unit) inlineChain(function die, a Addr) ([]entry, error) {
	e, err := u.read(function)
	if err != nil {
		return nil, err
	}
	chain := []entry{e}
	var ranges [][2]uint64
	inside := 1 // depth below which entries are inside the innermost block found so far
	err = u.children(function, func(d die, depth int) (bool, error) {
		if depth < inside {
			return false, errStop // the rest of a block that is around a does not matter
		}
		inlined := d.abbrev.tag == dwarf.TagInlinedSubroutine
		if !inlined && d.abbrev.tag != dwarf.TagLexDwarfBlock {
			return false, nil
		}
		if !d.abbrev.hasPC {
			return !inlined, nil // a block without ranges of its own: look inside
		}
		e, err := u.read(d)
		if err != nil {
			return false, err
		}
		ranges, err = u.rangesOf(ranges[:0], &e)
		if err != nil || !slices.ContainsFunc(ranges, func(r [2]uint64) bool { return uint64(a) >= r[0] && uint64(a) < r[1] }) {
			return false, err
		}
		inside = depth + 1
		if inlined {
			chain = append(chain, e)
		}
		return len(chain) < maxInlines, nil
	})
	if err == errStop {
		err = nil
	}
	slices.Reverse(chain)
	return chain, err
}

// sourceName is the name in the source of a function or an inlined copy of it, also where the symbol has a suffix
// (.constprop.0, .isra.0, .part.0, .cold). Empty when the entries give none.
func (u *unit) sourceName(e *dwarf.Entry) string {
	for range maxOrigins {
		if name, ok := e.Val(dwarf.AttrName).(string); ok {
			return name
		}
		ref, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
		if !ok {
			if ref, ok = e.Val(dwarf.AttrSpecification).(dwarf.Offset); !ok {
				return ""
			}
		}
		var err error
		if e, err = u.decodeAt(ref); err != nil {
			return ""
		}
	}
	return ""
}
