package guest

// Probe is what to look for in RAM to find one kernel: plain data, made once per vmlinux by [NewProbe].
// Offsets are from _text, which is the start of the loaded image.
type Probe struct {
	// Text is the link address of _text, Size the bytes to _end.
	Text, Size uint64
	// Banner is linux_banner ("Linux version ..."), compared at BannerOff. It names version, builder, compiler
	// and build number and so tells most builds apart.
	Banner    []byte
	BannerOff uint64
	// Note is the build-id note, compared at NoteOff. It tells all builds apart. Empty: the file has none.
	Note    []byte
	NoteOff uint64
	// Pointers are pointer variables with link-time values known from the file; relocation adds the slide to
	// them. The first one with a sensible value decides. Empty: the kernel is taken as not moved.
	Pointers []Pointer
	// PhysBaseOff is the offset of phys_base, zero when unknown.
	PhysBaseOff uint64
	// FirstPMDOff is the offset of level2_kernel_pgt[0], zero when unknown. __startup_64 clears its present bit,
	// because no kernel text lies in the first 2 MiB of the kernel mapping.
	// Since Linux 2aa85f246c18 ("x86/boot/64: Make level2_kernel_pgt pages invalid outside kernel area", v5.4).
	FirstPMDOff uint64
}

// Pointer is a variable at offset Off from _text that holds the relocated form of one of Targets.
type Pointer struct {
	Off     uint64
	Targets []uint64 // link addresses
}

// Symbols gives link addresses by name; names it does not know are missing from the answer.
type Symbols interface {
	Addresses(names ...string) map[string]uint64
}

// pointerSymbols lists variables and what they may point to. prb moves from the static to the dynamic ring in
// setup_log_buf(), initial_code to start_secondary when the first AP is started; a table of system calls stays.
var pointerSymbols = []struct {
	variable string
	targets  []string
}{
	{"prb", []string{"printk_rb_static", "printk_rb_dynamic"}},
	{"sys_call_table", []string{"__x64_sys_read", "sys_read"}},
	{"initial_code", []string{"x86_64_start_kernel", "start_secondary"}},
}

// Contents is the part of a vmlinux's contents that a [Probe] is made of. Addr is a link address.
type Contents struct {
	Banner, Note         []byte
	BannerAddr, NoteAddr uint64
}

// NewProbe makes the probe of a vmlinux from its symbols and contents. ok is false when it lacks _text or the banner:
// such a file is no kernel, or stripped of its symbols.
func NewProbe(symbols Symbols, c Contents) (probe Probe, ok bool) {
	names := []string{"_text", "_end", "phys_base", "level2_kernel_pgt"}
	for _, p := range pointerSymbols {
		names = append(append(names, p.variable), p.targets...)
	}
	at := symbols.Addresses(names...)
	text := at["_text"]
	if text < StartKernelMap || at["_end"] <= text || len(c.Banner) == 0 || c.BannerAddr < text {
		return Probe{}, false
	}
	off := func(addr uint64) uint64 {
		if addr < text || addr >= at["_end"] {
			return 0
		}
		return addr - text
	}
	probe = Probe{
		Text: text, Size: at["_end"] - text,
		Banner: c.Banner, BannerOff: c.BannerAddr - text,
		PhysBaseOff: off(at["phys_base"]), FirstPMDOff: off(at["level2_kernel_pgt"]),
	}
	if len(c.Note) > 0 && off(c.NoteAddr) != 0 {
		probe.Note, probe.NoteOff = c.Note, off(c.NoteAddr)
	}
	for _, p := range pointerSymbols {
		var targets []uint64
		for _, name := range p.targets {
			if a, ok := at[name]; ok {
				targets = append(targets, a)
			}
		}
		if o := off(at[p.variable]); o != 0 && len(targets) > 0 {
			probe.Pointers = append(probe.Pointers, Pointer{Off: o, Targets: targets})
		}
	}
	return probe, true
}
