package guest

import (
	"fmt"

	"kcatch/gdb/vmlinux"
)

// File is a vmlinux as this package sees it; it is the only place that knows the type.
type File struct{ *vmlinux.File }

// Addresses implements [Symbols].
func (f File) Addresses(names ...string) map[string]uint64 {
	found := f.Lookup(names...)
	at := make(map[string]uint64, len(found))
	for name, s := range found {
		at[name] = uint64(s.Addr)
	}
	return at
}

// Probe is [NewProbe] for the file. A file that cannot be looked for is an error that says what it lacks.
func (f File) Probe() (Probe, error) {
	banner, text, ok := f.Banner()
	if !ok {
		return Probe{}, fmt.Errorf("look for kernel: %s: no linux_banner in it", f.Path())
	}
	c := Contents{Banner: text, BannerAddr: uint64(banner)}
	if addr, note, ok := f.BuildIDNote(); ok {
		c.Note, c.NoteAddr = note, uint64(addr)
	}
	probe, ok := NewProbe(f, c)
	if !ok {
		return Probe{}, fmt.Errorf("look for kernel: %s: no symbols _text and _end; it is stripped or no kernel", f.Path())
	}
	return probe, nil
}

// Image is the [Image] of the file's kernel at a placement.
func (f File) Image(ram Searchable, probe Probe, p Placement) Image {
	return Image{
		RAM: ram, Placement: p, Text: probe.Text, Size: probe.Size,
		PageOffsetBase: f.Addresses("page_offset_base")["page_offset_base"],
	}
}
