package autopsy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/value"
	"kcatch/internal/blame"
	"kcatch/internal/nearest"
)

// Place is memory of the kernel that somebody asks for, at the moment of the death.
type Place struct {
	Expression string
	Addr       uint64 // run-time
	Size       int    // bytes
	// Translate gives the guest-physical address of an address in the place, by the page tables of the death, and the bytes that
	// follow in the same page.
	Translate func(va uint64) (pa, n uint64, err error)
}

// notFound is a usage error about an expression.
func notFound(expression, format string, args ...any) error {
	return blame.New(blame.Usage, expression+": "+fmt.Sprintf(format, args...), "")
}

// maxPlaces is how many places are watched in one boot.
const maxPlaces = 4

// Places finds the memory that a C expression names, where the kernel died or stands: one place for an lvalue, or each that the
// expression reads (atomic_read(&page->_refcount), a == b), at most four. Names are looked up as [names] does, from the function at
// fault outward; where that makes no sense (zone->name, and zone is a number there), from its caller outward, and so on. It is to be
// called after Examine. Notes say which names are a caller's, and what was left out. Its errors are usage errors.
func (s *Scene) Places(expression string) (places []Place, notes []string, err error) {
	e, err := value.Parse(expression)
	if err != nil {
		return nil, nil, blame.New(blame.Usage, err.Error(), "")
	}
	all := s.outward()
	for i := range all {
		n := &names{FrameScope: all[i].FrameScope, frames: all[i:]}
		found, left, perr := s.placesIn(n, e)
		switch {
		case perr == nil:
			notes = n.notes(i > 0)
			for _, l := range left[:min(len(left), maxLeft)] {
				notes = append(notes, "not watched: "+l)
			}
			if more := len(left) - maxLeft; more > 0 {
				notes = append(notes, fmt.Sprintf("not watched: %d more objects", more))
			}
			return found, notes, nil
		case i == 0:
			err = perr
		}
		if !errors.Is(perr, errNames) {
			break
		}
	}
	return nil, nil, err
}

// maxLeft is how many objects that are not watched are named.
const maxLeft = 4

// Shortened is an expression for a sentence.
func Shortened(expression string) string {
	if r := []rune(expression); len(r) > maxShown {
		return string(r[:maxShown]) + "…"
	}
	return expression
}

// maxShown is how many letters of an expression a sentence has.
const maxShown = 120

// errNames is in the error of an expression whose names are not there, or are of another kind than it takes them for.
var errNames = errors.New("its names")

// namesError is an error that may go away with the names of another function.
type namesError struct{ error }

func (namesError) Is(target error) bool { return target == errNames }
func (e namesError) Unwrap() error      { return e.error }

// placesIn is Places with the names from one function outward. left are the objects that it reads besides, and why they are not among the places.
func (s *Scene) placesIn(sc *names, e value.Expression) (places []Place, left []string, err error) {
	expression := Shortened(e.String())
	v, err := e.Eval(sc)
	if v.HasAddr {
		p, err := s.place(e.String(), v.Addr, int(v.Size()))
		return []Place{p}, nil, err
	}
	if err != nil {
		if size, at, ok := s.bareSymbol(e.String()); ok {
			p, err := s.place(expression, at, size)
			return []Place{p}, nil, err
		}
		cause := Shortened(err.Error())
		if whose := sc.inNoMemory(); whose != "" && len(sc.missing) == 0 {
			cause += " (" + whose + ")"
		}
		return nil, nil, namesError{blame.New(blame.Usage, expression+": "+cause, s.meant(sc))}
	}
	for _, r := range e.Reads(sc) {
		switch {
		case r.Through || errors.Is(r.Value.Err, value.ErrFunction):
			continue
		case !r.Value.HasAddr:
			left = append(left, Shortened(r.Text)+": it is in no memory")
			continue
		case len(places) == maxPlaces:
			left = append(left, fmt.Sprintf("%s: %d objects at a time are", Shortened(r.Text), maxPlaces))
			continue
		}
		p, err := s.place(r.Text, r.Value.Addr, int(r.Value.Size()))
		if err != nil {
			return nil, nil, err
		}
		places = append(places, p)
	}
	if len(places) > 0 {
		return places, left, nil
	}
	if why := sc.inNoMemory(); why != "" {
		return nil, nil, notFound(expression, "%s: nothing to watch", why)
	}
	return nil, nil, blame.New(blame.Usage, expression+": a value, and no memory that anybody could write", "name a variable, a member, or *(TYPE *)ADDRESS")
}

// meant is a hint at the name that was meant by one that is not there.
func (s *Scene) meant(sc *names) string {
	if len(sc.missing) == 0 || s.Kernel == nil {
		return ""
	}
	want, all := sc.missing[0], []string(nil)
	for _, f := range sc.frames {
		all = slices.AppendSeq(all, maps.Keys(f.locals))
	}
	slices.Sort(all) // of equals the first wins
	near := nearest.Name(want, append(all, s.Kernel.Objects()...), 3)
	switch {
	case strings.EqualFold(want, "auto"):
		near = "auto"
	case near == "":
		return ""
	}
	return "did you mean " + near + "?"
}

// bareSymbol is what the symbol table says of an expression that is one name, for a vmlinux without debug information.
func (s *Scene) bareSymbol(name string) (size int, at uint64, ok bool) {
	if s.Kernel == nil || s.Placement == nil {
		return 0, 0, false
	}
	sym, ok := s.Kernel.Symbol(name)
	if !ok || sym.Func || sym.Size == 0 || s.Kernel.PerCPU(sym.Addr) {
		return 0, 0, false
	}
	return int(sym.Size), s.Placement.Run(uint64(sym.Addr)), true
}

// PlaceAt is memory at an address that somebody else has found. Its errors are usage errors.
func (s *Scene) PlaceAt(expression string, addr uint64, size int) (Place, error) {
	return s.place(expression, addr, size)
}

// place checks that there is RAM at an address.
func (s *Scene) place(expression string, addr uint64, size int) (Place, error) {
	p := Place{Expression: expression, Addr: addr, Size: size, Translate: s.translate()}
	switch {
	case size <= 0:
		return p, notFound(Shortened(expression), "its size is not known; write *(int *)0x%x", addr)
	case size > maxPlace:
		return p, blame.New(blame.Usage, fmt.Sprintf("%s: %d bytes are more than can be watched (%d)", Shortened(expression), size, maxPlace), "name a member of it")
	}
	for at := addr; at-addr < uint64(size); {
		pa, n, err := p.Translate(at)
		if err != nil {
			return p, blame.New(blame.Usage, fmt.Sprintf("%s: 0x%x is not mapped in the kernel at its end", Shortened(expression), at), unmappedHint(at))
		}
		if _, err := s.RAM.ReadPhysical(make([]byte, 1), pa); err != nil {
			return p, notFound(Shortened(expression), "0x%x is no memory: nothing but a device or a hole is at the physical address 0x%x", at, pa)
		}
		at += max(n, 1)
	}
	return p, nil
}

// unmappedHint says what to do about an address that is not mapped. Virtual addresses have 48 bits, or 57 with five levels of page
// tables, and the rest is like the highest of them (Documentation/arch/x86/x86_64/mm.rst).
func unmappedHint(at uint64) string {
	switch top := int64(at) >> 56; {
	case at < 4096:
		return "the pointer is NULL: name what it was loaded from, or ask for auto"
	case at >= 1<<64-4096: // include/linux/err.h, MAX_ERRNO
		return "it is an error number in place of a pointer: name the pointer itself, or ask for auto"
	case top != 0 && top != -1:
		return "it is no address of x86-64 (not canonical): the pointer is bad; name the pointer itself, or ask for auto"
	}
	return "KASLR moves addresses from boot to boot: add --append nokaslr, or name a variable"
}

// maxPlace bounds the memory that is asked for as one, in bytes.
const maxPlace = 4096

// translate is the page tables of the death: those of the vCPU that died, else the kernel's image and direct map.
func (s *Scene) translate() func(va uint64) (pa, n uint64, err error) {
	return func(va uint64) (pa, n uint64, err error) {
		for _, regs := range s.deathRegs() {
			if pa, n, err = guest.NewSpace(s.RAM, regs).Translate(va); err == nil {
				return pa, n, nil
			}
		}
		if image, ok := s.kernelMemory().(guest.Image); ok {
			if pa, n, ierr := image.Translate(va); ierr == nil {
				return pa, n, nil
			}
		}
		if err == nil {
			err = &guest.FaultError{Addr: va, Reason: guest.NotPresent}
		}
		return 0, 0, err
	}
}

// deathRegs are the registers of the vCPU that died, then of the others.
func (s *Scene) deathRegs() []amd64.Registers {
	var all []amd64.Registers
	if s.death.chain != nil && s.death.chain.Regs.CR3 != 0 {
		all = append(all, s.death.chain.Regs)
	}
	return append(all, s.Registers...)
}
