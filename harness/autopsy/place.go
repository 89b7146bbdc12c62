package autopsy

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
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
	return blame.New(blame.Usage, "--who-wrote "+expression+": "+fmt.Sprintf(format, args...), "")
}

// Place finds the memory that a C expression names. It is to be called after Examine. Its errors are usage errors.
func (s *Scene) Place(expression string) (Place, error) {
	addr, size, err := s.lvalue(expression)
	if err != nil {
		return Place{}, err
	}
	return s.place(expression, addr, size)
}

// place checks that there is RAM at an address.
func (s *Scene) place(expression string, addr uint64, size int) (Place, error) {
	p := Place{Expression: expression, Addr: addr, Size: size, Translate: s.translate()}
	switch {
	case size <= 0:
		return p, notFound(expression, "its size is not known; write *(int *)0x%x", addr)
	case size > maxPlace:
		return p, notFound(expression, "%d bytes are more than can be watched (%d); name a member", size, maxPlace)
	}
	for at := addr; at-addr < uint64(size); {
		pa, n, err := p.Translate(at)
		if err != nil {
			return p, notFound(expression, "0x%x is not mapped where the kernel died", at)
		}
		if _, err := s.RAM.ReadPhysical(make([]byte, 1), pa); err != nil {
			return p, notFound(expression, "0x%x is no memory: physical address 0x%x is not RAM", at, pa)
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

var cast = regexp.MustCompile(`^\*\(([a-z_ 0-9]+?) ?\*\)(0x[0-9a-fA-F]+)$`)

// lvalue is the address and the size of what an expression names.
func (s *Scene) lvalue(expression string) (addr uint64, size int, err error) {
	if m := cast.FindStringSubmatch(strings.TrimSpace(expression)); m != nil {
		addr, err := strconv.ParseUint(m[2], 0, 64)
		size := map[string]int{"char": 1, "short": 2, "int": 4, "unsigned int": 4, "long": 8, "unsigned long": 8, "u64": 8, "u32": 4}[m[1]]
		if err != nil || size == 0 {
			return 0, 0, notFound(expression, "what is it?")
		}
		return addr, size, nil
	}
	if s.Kernel == nil || s.Placement == nil {
		return 0, 0, notFound(expression, "the kernel was not found")
	}
	sym, ok := s.Kernel.Symbol(expression)
	if !ok {
		return 0, 0, notFound(expression, "no such symbol")
	}
	return s.Placement.Run(uint64(sym.Addr)), int(sym.Size), nil
}
