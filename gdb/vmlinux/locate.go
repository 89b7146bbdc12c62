package vmlinux

import (
	"debug/dwarf"
	"fmt"
)

// Location is one function of the chain at an address, as the source has it.
type Location struct {
	Function string // the source's name, without .constprop.0 and the like; the symbol's where there is no other
	File     string // relative to the kernel tree, or empty
	Line     int    // 0 is unknown
	Column   int    // 1-based, 0 is unknown
	Inline   bool   // inlined into the next location; false for the last
	Outside  bool   // File is relative to the directory of a module that was built outside of the kernel tree
}

// Reason is why an address could not be located.
type Reason uint8

const (
	_           Reason = iota
	NoDebugInfo        // the file has no DWARF; SymbolAt still works
	NotMapped          // no code is linked at the address
	NoUnit             // no compilation unit has the address: built without -g
)

func (r Reason) String() string {
	switch r {
	case NoDebugInfo:
		return "vmlinux has no debug information"
	case NotMapped:
		return "not kernel code"
	case NoUnit:
		return "built without debug information"
	}
	return "unknown reason"
}

// UnknownError says why an address has no location. It is no fault of the file or of the caller.
type UnknownError struct {
	Addr   Addr
	Reason Reason
}

func (e *UnknownError) Error() string {
	return fmt.Sprintf("locate 0x%x: %s", uint64(e.Addr), e.Reason)
}

// Hint is what to do about it, or empty.
func (e *UnknownError) Hint() string {
	if e.Reason == NoDebugInfo {
		return "build with CONFIG_DEBUG_INFO_DWARF_TOOLCHAIN_DEFAULT=y, or give the -dbg package's vmlinux"
	}
	return ""
}

// Locate returns the chain of functions at a, innermost first: inlined ones, then the function that owns the code. It has at
// least one element unless err is set. The innermost line is the line table's, the others are where the next inner
// function was called (DW_AT_call_file, DW_AT_call_line).
//
// a is the address of an instruction: for a return address, the caller has subtracted 1.
// Assembly has lines but often no function entry; its one location has the symbol's name. In the padding between functions,
// where a jump through a bad pointer may lead, Function is empty.
// Errors: [*UnknownError]; [*FormatError] for broken debug information, and then the locations found before it.
func (f *File) Locate(a Addr) ([]Location, error) {
	if !f.IsText(a) {
		return nil, &UnknownError{a, NotMapped}
	}
	if !f.HasDWARF() {
		return nil, &UnknownError{a, NoDebugInfo}
	}
	symbol, _ := f.SymbolAt(a) // before the lock
	f.mu.Lock()
	defer f.mu.Unlock()
	tree := f.tree()
	u, err := f.unitAt(a)
	if err != nil {
		return nil, fmt.Errorf("locate 0x%x: %w", uint64(a), err)
	}
	if u == nil {
		return nil, &UnknownError{a, NoUnit}
	}
	return locateIn(u, tree, a, symbol.Name)
}

// locateIn is Locate in the unit with the address; symbol names the function that the unit does not name.
func locateIn(u *unit, tree *sourceTree, a Addr, symbol string) ([]Location, error) {
	locs, err := u.chainAt(tree, a)
	if len(locs) > 0 && locs[len(locs)-1].Function == "" {
		locs[len(locs)-1].Function = symbol
	}
	if err != nil {
		err = fmt.Errorf("locate 0x%x: %w", uint64(a), err)
	}
	return locs, err
}

func (u *unit) chainAt(tree *sourceTree, a Addr) ([]Location, error) {
	lines, err := u.lineTable()
	at := Location{}
	if row, ok := lines.at(a); ok {
		at.Line, at.Column = int(row.line), int(row.column)
		at.File, at.Outside = lines.file(u, tree, int(row.file))
	}
	if u.assembly() {
		return []Location{at}, err
	}
	function, found, ferr := u.function(a)
	if err == nil {
		err = ferr
	}
	if !found {
		return []Location{at}, err
	}
	chain, cerr := u.inlineChain(function, a)
	if err == nil {
		err = cerr
	}
	if len(chain) == 0 {
		return []Location{at}, err
	}
	locs := make([]Location, 0, len(chain))
	for i := range chain {
		e := &chain[i]
		at.Function = u.sourceNameOf(e)
		at.Inline = i < len(chain)-1
		locs = append(locs, at)
		at = Location{}
		at.File, at.Outside = lines.file(u, tree, e.callFile)
		at.Line, at.Column = e.callLine, e.callColumn
	}
	return locs, err
}

func intValue(e *dwarf.Entry, attr dwarf.Attr) int {
	n, _ := e.Val(attr).(int64)
	return int(n)
}
