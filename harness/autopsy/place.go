package autopsy

import (
	"fmt"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/value"
	"kcatch/internal/blame"
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
// expression reads (atomic_read(&page->_refcount), a == b), at most four. Names are those of the function at fault, else of the
// functions that it was called from. It is to be called after Examine. Its errors are usage errors.
func (s *Scene) Places(expression string) ([]Place, error) {
	e, err := value.Parse(expression)
	if err != nil {
		return nil, blame.New(blame.Usage, err.Error(), "")
	}
	places, err := s.placesIn(s.scope(), e)
	if d := &s.death; err != nil && d.finding != nil && d.chain != nil && d.finding.Frame >= 0 {
		for i := d.finding.Frame + 1; i < len(d.chain.Frames) && i <= d.finding.Frame+outerFrames; i++ {
			if found, oerr := s.placesIn(s.Scope(d.chain, i), e); oerr == nil {
				return found, nil
			}
		}
	}
	return places, err
}

// outerFrames is how many functions outward from the one at fault are searched for the names of an expression.
const outerFrames = 12

// placesIn is Places with the names of one scope.
func (s *Scene) placesIn(sc value.Scope, e value.Expression) ([]Place, error) {
	expression := e.String()
	v, err := e.Eval(sc)
	if v.HasAddr {
		p, err := s.place(expression, v.Addr, int(v.Size()))
		return []Place{p}, err
	}
	if err != nil {
		if size, at, ok := s.bareSymbol(expression); ok {
			p, err := s.place(expression, at, size)
			return []Place{p}, err
		}
		return nil, notFound(expression, "%v", err)
	}
	var places []Place
	for _, r := range e.Reads(sc) {
		if r.Through || !r.Value.HasAddr || len(places) == maxPlaces {
			continue
		}
		p, err := s.place(r.Text, r.Value.Addr, int(r.Value.Size()))
		if err != nil {
			return nil, err
		}
		places = append(places, p)
	}
	if len(places) == 0 {
		return nil, blame.New(blame.Usage, expression+": a value, and no memory that anybody could write", "name a variable, a member, or *(TYPE *)ADDRESS")
	}
	return places, nil
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

// place checks that there is RAM at an address.
func (s *Scene) place(expression string, addr uint64, size int) (Place, error) {
	p := Place{Expression: expression, Addr: addr, Size: size, Translate: s.translate()}
	switch {
	case size <= 0:
		return p, notFound(expression, "its size is not known; write *(int *)0x%x", addr)
	case size > maxPlace:
		return p, blame.New(blame.Usage, fmt.Sprintf("%s: %d bytes are more than can be watched (%d)", expression, size, maxPlace), "name a member of it")
	}
	for at := addr; at-addr < uint64(size); {
		pa, n, err := p.Translate(at)
		if err != nil {
			return p, blame.New(blame.Usage, fmt.Sprintf("%s: 0x%x is not mapped in the kernel at its end", expression, at),
				"KASLR moves addresses from boot to boot: add --append nokaslr, or name a variable")
		}
		if _, err := s.RAM.ReadPhysical(make([]byte, 1), pa); err != nil {
			return p, notFound(expression, "0x%x is no memory: nothing but a device or a hole is at the physical address 0x%x", at, pa)
		}
		at += max(n, 1)
	}
	return p, nil
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
