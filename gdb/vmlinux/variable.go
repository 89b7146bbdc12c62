package vmlinux

import (
	"debug/dwarf"
	"encoding/binary"
	"fmt"
	"slices"
)

// Scope is one function of the chain at an address, with its variables there.
type Scope struct {
	Function string // as in [Location]
	Inline   bool
	// FrameBase is what DW_OP_fbreg is relative to: an expression of the function that owns the code; nil where it has none.
	FrameBase []byte
	// Variables are the arguments in their order, then the locals of the blocks around the address, outermost block first.
	Variables []Variable
	// Unit is what the expressions refer to.
	Unit *Unit
}

// Variable is an argument or a local variable at one address. It is nowhere, that is optimized out, where Location is empty and
// Const is nil.
type Variable struct {
	Name     string
	Argument bool
	Type     dwarf.Type
	Location []byte // DWARF expression, not copied
	Const    []byte // its value, little-endian; as long as the type or longer
	Err      error  // why type or location could not be read
}

// maxVariables bounds the variables of one function. Long functions of the kernel have 60 at one place.
const maxVariables = 1 << 12

// Variables returns the functions of the chain at a as [File.Locate] does, innermost first, with their arguments and, if locals is
// set, the local variables that are in scope. Assembly, and code without debug information, has none.
// Errors: [*FormatError], and then what was read before it.
func (f *File) Variables(a Addr, locals bool) ([]Scope, error) {
	if !f.HasDWARF() || !f.IsText(a) {
		return nil, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u, err := f.unitAt(a)
	if err != nil || u == nil || u.assembly() {
		return nil, err
	}
	function, found, err := u.function(a)
	if err != nil || !found {
		return nil, err
	}
	w := scopeWalk{f: f, u: u, a: a, locals: locals}
	err = w.run(function)
	slices.Reverse(w.scopes)
	if err != nil {
		err = fmt.Errorf("variables at 0x%x: %w", uint64(a), err)
	}
	return w.scopes, err
}

// scopeWalk collects scopes, outermost first.
type scopeWalk struct {
	f      *File
	u      *unit
	a      Addr
	locals bool
	scopes []Scope
	origin []dwarf.Offset        // of each scope's function; 0 where it is its own
	seen   map[dwarf.Offset]bool // abstract variables that have a concrete entry
	count  int
	base   []byte
}

func (w *scopeWalk) run(function die) error {
	u := w.u
	e, err := u.decode(function.off)
	if err != nil {
		return err
	}
	w.seen = make(map[dwarf.Offset]bool)
	if w.base, err = w.f.location(u, e, dwarf.AttrFrameBase, w.a); err != nil {
		w.base = nil
	}
	w.open(e, false)
	owner := []int{0} // by depth: the scope that entries below belong to
	inside := 1       // as in inlineChain, whose functions these are
	err = u.children(function, func(d die, depth int) (bool, error) {
		if depth > len(owner) {
			return false, nil
		}
		owner = owner[:depth]
		at := owner[depth-1]
		switch d.abbrev.tag {
		case dwarf.TagFormalParameter, dwarf.TagVariable:
			return false, w.variable(d, at)
		case dwarf.TagLexDwarfBlock:
			if depth < inside {
				return false, nil
			}
			if !d.abbrev.hasPC { // gcc before 6: as if it were not there
				owner = append(owner, at)
				return true, nil
			}
		case dwarf.TagInlinedSubroutine:
			if depth < inside || !d.abbrev.hasPC {
				return false, nil
			}
		default:
			return false, nil
		}
		ranges, err := u.rangesAt(d)
		if err != nil || !slices.ContainsFunc(ranges, func(r [2]uint64) bool { return uint64(w.a) >= r[0] && uint64(w.a) < r[1] }) {
			return false, err
		}
		inside = depth + 1
		if d.abbrev.tag == dwarf.TagInlinedSubroutine {
			e, err := u.decode(d.off)
			if err != nil {
				return false, err
			}
			w.open(e, true)
			at = len(w.scopes) - 1
		}
		owner = append(owner, at)
		return len(w.scopes) < maxInlines, nil
	})
	if err != nil {
		return err
	}
	for i := range w.scopes {
		if err := w.inherit(i); err != nil {
			return err
		}
	}
	return nil
}

func (w *scopeWalk) open(e *dwarf.Entry, inline bool) {
	origin, _ := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
	w.scopes = append(w.scopes, Scope{Function: w.u.sourceName(e), Inline: inline, FrameBase: w.base, Unit: &Unit{w.f, w.u}})
	w.origin = append(w.origin, origin)
}

// variable adds the entry d to scope at.
func (w *scopeWalk) variable(d die, at int) error {
	if d.abbrev.tag == dwarf.TagVariable && !w.locals {
		return nil
	}
	e, err := w.u.decode(d.off)
	if err != nil {
		return err
	}
	if origin, ok := e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset); ok {
		w.seen[origin] = true
	}
	return w.add(e, at)
}

// inherit adds to a scope what only the abstract function has: arguments and variables of which no copy is left in this one. gdb
// does the same. They stand in the function's outermost block, so they come before the locals that have a copy: behind them a name that is
// nowhere would hide one of an inner block that is alive.
func (w *scopeWalk) inherit(at int) error {
	if w.origin[at] == 0 {
		return nil
	}
	u, err := w.f.unitOf(w.u, w.origin[at])
	if err != nil {
		return err
	}
	function, err := u.dieAt(int(w.origin[at]) - int(u.shift))
	if err != nil {
		return err
	}
	next := 0 // arguments keep their order
	local := slices.IndexFunc(w.scopes[at].Variables, func(v Variable) bool { return !v.Argument })
	if local < 0 {
		local = len(w.scopes[at].Variables)
	}
	return u.children(function, func(d die, _ int) (bool, error) {
		argument := d.abbrev.tag == dwarf.TagFormalParameter
		if !argument && (d.abbrev.tag != dwarf.TagVariable || !w.locals) {
			return false, nil
		}
		off := dwarf.Offset(u.shift) + dwarf.Offset(d.off)
		if w.seen[off] {
			next++
			return false, nil
		}
		e, err := u.decodeAt(off)
		if err != nil {
			return false, err
		}
		before := len(w.scopes[at].Variables)
		if err := w.add(e, at); err != nil {
			return false, err
		}
		if vars := w.scopes[at].Variables; len(vars) > before {
			to := local
			if argument {
				to = min(next, local)
			}
			v := vars[before]
			w.scopes[at].Variables = slices.Insert(vars[:before], to, v)
			local++
		}
		next++
		return false, nil
	})
}

// add reads one variable. What is only declared (extern, in a function) is none.
func (w *scopeWalk) add(e *dwarf.Entry, at int) error {
	if w.count++; w.count > maxVariables {
		return fmt.Errorf("more than %d variables", maxVariables)
	}
	if declared, _ := e.Val(dwarf.AttrDeclaration).(bool); declared {
		return nil
	}
	if v := w.f.variable(w.u, e, w.a); v.Name != "" { // else it is the compiler's own
		w.scopes[at].Variables = append(w.scopes[at].Variables, v)
	}
	return nil
}

// variable reads an entry as a variable at a.
func (f *File) variable(u *unit, e *dwarf.Entry, a Addr) Variable {
	v := Variable{Argument: e.Tag == dwarf.TagFormalParameter, Name: u.sourceName(e)}
	typed, err := u.withAttr(e, dwarf.AttrType)
	if err == nil {
		d := typeDecoder{f: f, u: u}
		v.Type, err = d.of(typed, false, 0)
	}
	if err != nil {
		v.Type, v.Err = &dwarf.VoidType{}, err
	}
	if v.Location, err = f.location(u, e, dwarf.AttrLocation, a); err != nil {
		v.Err = err
	}
	if v.Location == nil && e.Val(dwarf.AttrLocation) == nil {
		constant, err := u.withAttr(e, dwarf.AttrConstValue)
		if err != nil {
			v.Err = err
		} else {
			v.Const = constantBytes(constant.Val(dwarf.AttrConstValue))
		}
		if v.Const == nil { // a static variable of an inlined function
			if of, err := u.withAttr(e, dwarf.AttrLocation); err == nil {
				v.Location, v.Err = f.location(u, of, dwarf.AttrLocation, a)
			}
		}
	}
	return v
}

func constantBytes(v any) []byte {
	switch v := v.(type) {
	case int64:
		b := binary.LittleEndian.AppendUint64(nil, uint64(v))
		sign := byte(v >> 63)
		return append(b, sign, sign, sign, sign, sign, sign, sign, sign) // __int128
	case []byte:
		return v
	case string:
		return append([]byte(v), 0)
	}
	return nil
}

// location is the expression of an attribute that is valid at a; nil where there is none.
func (f *File) location(u *unit, e *dwarf.Entry, attr dwarf.Attr, a Addr) ([]byte, error) {
	field := e.AttrField(attr)
	if field == nil {
		return nil, nil
	}
	switch v := field.Val.(type) {
	case []byte:
		return v, nil
	case int64:
		return f.listed(u, uint64(v), a)
	case uint64: // an index: DW_FORM_loclistx
		off, err := f.listOffset(u, v)
		if err != nil {
			return nil, err
		}
		return f.listed(u, off, a)
	}
	return nil, nil
}

// Unit is what the expressions of one compilation unit refer to.
type Unit struct {
	f *File
	u *unit
}

// Address is the link address of index i (DW_OP_addrx, DW_OP_constx).
func (u *Unit) Address(i uint64) (Addr, error) {
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	a, err := u.f.addressAt(u.u, i)
	return Addr(a), err
}

// Variable is the variable whose entry stands at an offset of .debug_info (DW_OP_implicit_pointer), as it is at a.
func (u *Unit) Variable(off uint64, a Addr) (Variable, error) {
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	in, err := u.f.unitOf(u.u, dwarf.Offset(off-u.u.off+u.u.shift))
	if err != nil {
		return Variable{}, err
	}
	e, err := in.decode(int(off - in.off))
	if err != nil {
		return Variable{}, err
	}
	if e.Tag != dwarf.TagVariable && e.Tag != dwarf.TagFormalParameter {
		return Variable{}, in.broken(e.Offset, "no variable")
	}
	return u.f.variable(in, e, a), nil
}

// BaseType is the base type at an offset from the start of the unit (DW_OP_convert and its like).
func (u *Unit) BaseType(off uint64) (dwarf.Type, error) {
	u.f.mu.Lock()
	defer u.f.mu.Unlock()
	if off > uint64(len(u.u.info)) {
		return nil, &FormatError{Section: ".debug_info", Offset: u.u.off, Cause: "a type outside the unit"}
	}
	e, err := u.u.decode(int(off))
	if err != nil {
		return nil, err
	}
	if e.Tag != dwarf.TagBaseType {
		return nil, u.u.broken(e.Offset, "no base type")
	}
	return baseType(e, dwarf.CommonType{ByteSize: int64(intValue(e, dwarf.AttrByteSize))}), nil
}
