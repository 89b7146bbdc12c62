package vmlinux

import (
	"debug/dwarf"
	"fmt"
)

// CallSite is what the compiler wrote down of one call: DWARF 5 section 3.4, or the GNU extension before it.
type CallSite struct {
	Callee string // the function that is called, by its source name; empty for a call through a pointer
	// Target is the expression of a pointer's value, valid in the caller; nil where it is not known.
	Target []byte
	Values []CallValue
	// Scope has what the expressions are relative to.
	Scope Scope
}

// CallValue is what a register, or a place on the stack, held when the callee was entered.
type CallValue struct {
	Location []byte // of the callee: DW_OP_reg<n>, or DW_OP_fbreg
	Value    []byte // an expression of the caller; nil where it is not known any more
}

const (
	tagGNUCallSite          = dwarf.Tag(0x4109)
	tagGNUCallSiteParameter = dwarf.Tag(0x410a)
	attrGNUCallSiteValue    = dwarf.Attr(0x2111)
	attrGNUCallSiteTarget   = dwarf.Attr(0x2113)
)

// CallSite returns the call whose return address is ret; ok is false where the compiler wrote nothing of it.
func (f *File) CallSite(ret Addr) (site CallSite, ok bool, err error) {
	if !f.HasDWARF() || !f.IsText(ret-1) {
		return CallSite{}, false, nil
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	u, err := f.unitAt(ret - 1)
	if err != nil || u == nil || u.assembly() {
		return CallSite{}, false, err
	}
	function, found, err := u.function(ret - 1)
	if err != nil || !found {
		return CallSite{}, false, err
	}
	e, err := u.decode(function.off)
	if err != nil {
		return CallSite{}, false, err
	}
	site.Scope = Scope{Function: u.sourceName(e), Unit: &Unit{f, u}}
	site.Scope.FrameBase, err = f.location(u, e, dwarf.AttrFrameBase, ret-1)
	if err != nil {
		return CallSite{}, false, err
	}
	open := false // the entries are the site's parameters
	err = u.children(function, func(d die, _ int) (bool, error) {
		switch d.abbrev.tag {
		case dwarf.TagCallSite, tagGNUCallSite:
			if ok {
				return false, errStop
			}
			e, err := u.decode(d.off)
			if err != nil {
				return false, err
			}
			at, _ := e.Val(dwarf.AttrCallReturnPC).(uint64)
			if d.abbrev.tag == tagGNUCallSite {
				at, _ = e.Val(dwarf.AttrLowpc).(uint64)
			}
			if open = at == uint64(ret); open {
				ok = true
				site.callee(u, e)
			}
			return open, nil
		case dwarf.TagCallSiteParameter, tagGNUCallSiteParameter:
			if !open {
				return false, nil
			}
			if len(site.Values) >= maxVariables {
				return false, fmt.Errorf("more than %d values at a call", maxVariables)
			}
			e, err := u.decode(d.off)
			if err != nil {
				return false, err
			}
			v := CallValue{}
			v.Location, _ = e.Val(dwarf.AttrLocation).([]byte)
			v.Value = expression(e, dwarf.AttrCallValue, attrGNUCallSiteValue)
			site.Values = append(site.Values, v)
			return false, nil
		case dwarf.TagLexDwarfBlock, dwarf.TagInlinedSubroutine:
			if ok {
				return false, errStop
			}
			return true, nil
		}
		return false, nil
	})
	if err == errStop {
		err = nil
	}
	return site, ok && err == nil, err
}

func (s *CallSite) callee(u *unit, e *dwarf.Entry) {
	ref, ok := e.Val(dwarf.AttrCallOrigin).(dwarf.Offset)
	if !ok {
		ref, ok = e.Val(dwarf.AttrAbstractOrigin).(dwarf.Offset)
	}
	if ok {
		if to, err := u.decodeAt(ref); err == nil {
			s.Callee = u.sourceName(to)
		}
		return
	}
	s.Target = expression(e, dwarf.AttrCallTarget, attrGNUCallSiteTarget)
}

func expression(e *dwarf.Entry, attrs ...dwarf.Attr) []byte {
	for _, a := range attrs {
		if v, ok := e.Val(a).([]byte); ok {
			return v
		}
	}
	return nil
}
