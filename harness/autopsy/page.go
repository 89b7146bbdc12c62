package autopsy

import (
	"debug/dwarf"

	"kcatch/gdb/linux"
	"kcatch/gdb/value"
	"kcatch/harness/verdict"
)

// textOptions is how values are shown in a cause: without what pointers lead to.
func (s *Scene) textOptions(c *Chain) value.TextOptions {
	if c == nil || c.acts == nil {
		return value.TextOptions{Memory: s.kernelMemory(), Limit: maxValueText}
	}
	return c.acts.s.textOptions(ValueOptions{})
}

// pageOf is the struct page that the code at fault worked on: what an argument or a variable of the function at fault, or of those that
// it is inlined into, points to. nil where there is none, or it has no value.
func (s *Scene) pageOf(c *Chain, frame int) *verdict.Page {
	if s.kernelMemory() == nil || c.acts == nil {
		return nil
	}
	for i := frame; i < len(c.Frames); i++ {
		for _, v := range c.Variables(i, true) {
			if !pagePointer(v.Type) || v.Err != nil || len(v.Bytes) < 8 {
				continue
			}
			addr := uint64(0)
			for j := 7; j >= 0; j-- {
				addr = addr<<8 | uint64(v.Bytes[j])
			}
			if addr>>63 == 0 { // NULL, or no pointer of the kernel
				continue
			}
			if p := s.page(c, addr); p != nil {
				p.Variable, p.Function = v.Name, c.Frames[i].Function
				return p
			}
		}
		if !c.Frames[i].Inline {
			break
		}
	}
	return nil
}

// pagePointer reports whether a type is a pointer to struct page or struct folio, which begins with one.
func pagePointer(t dwarf.Type) bool {
	p, ok := value.Resolve(t).(*dwarf.PtrType)
	if !ok {
		return false
	}
	to, ok := value.Resolve(p.Type).(*dwarf.StructType)
	return ok && (to.StructName == "page" || to.StructName == "folio")
}

// page decodes the struct page at addr; nil when it is none or cannot be read.
func (s *Scene) page(c *Chain, addr uint64) *verdict.Page {
	layout, err := s.Kernel.PageLayout()
	if err != nil {
		return nil
	}
	mem := fallback{c.acts.s.mem, s.kernelMemory()}
	p, err := layout.Read(mem, linux.VmemmapOf(mem, s.vmemmapBase()), addr)
	if err != nil {
		return nil
	}
	out := &verdict.Page{Address: verdict.Hex(p.Address), PFN: verdict.Hex(p.PFN), RefCount: int(p.RefCount), MapCount: int(p.MapCount),
		Flags: verdict.Hex(p.Flags), FlagNames: p.Names, Zone: p.Zone, Type: p.Type, Text: p.String()}
	if p.Node >= 0 {
		out.Node = &p.Node
	}
	if p.Head != 0 {
		out.Head = verdict.Hex(p.Head)
	}
	return out
}

// vmemmapBase is the run-time address of the kernel's variable vmemmap_base, 0 when it has none.
func (s *Scene) vmemmapBase() uint64 {
	sym, ok := s.Kernel.Symbol("vmemmap_base")
	if !ok {
		return 0
	}
	return s.Placement.Run(uint64(sym.Addr))
}
