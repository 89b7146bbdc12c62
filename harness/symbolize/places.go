package symbolize

import (
	"errors"

	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
)

// Kernel is a vmlinux, and how far from its link address the kernel ran: Slide is what is added to link-time addresses, 0 without
// KASLR.
type Kernel struct {
	File  *vmlinux.File
	Slide uint64
	// Return says that the words are return addresses: the answer is the call, which is before the address. Where a function
	// begins no call has returned to, so that a word that says so ("vfs_read") is exact all the same.
	Return bool
}

// Answer is what becomes of one word: places, more than one where several functions fit it, or why there are none.
type Answer struct {
	Places []verdict.Place
	Err    error // of [blame.Usage]: no such function, or not of that size
}

// Places answers for words, all at once: a thousand words together take a tenth of the time that they take one by one.
func (k Kernel) Places(words []Word) []Answer {
	out := make([]Answer, len(words))
	addrs := make([]vmlinux.Addr, 0, len(words)) // that are looked up
	pcs := make([]unwind.PC, 0, len(words))      // what they are of
	of := make([]int, 0, len(words))             // the word of each
	for i, w := range words {
		all, err := w.addresses(k.File, k.Slide)
		out[i].Err = err
		for _, a := range all {
			pc := unwind.PC{Addr: uint64(a), Kind: k.kind(w)}
			addrs, pcs, of = append(addrs, vmlinux.Addr(pc.Lookup())), append(pcs, pc), append(of, i)
		}
	}
	for n, a := range k.File.LocateAll(addrs) {
		to := &out[of[n]]
		to.Places = append(to.Places, k.place(pcs[n], a))
	}
	return out
}

// kind is what a word is the address of.
func (k Kernel) kind(w Word) unwind.Kind {
	if !k.Return || w.Function != "" && w.Offset == 0 {
		return unwind.Exact
	}
	return unwind.Return
}

func (k Kernel) place(pc unwind.PC, a vmlinux.Answer) verdict.Place {
	p := verdict.Place{
		Schema: verdict.PlaceSchema, Address: verdict.Hex(pc.Addr + k.Slide), Frames: []verdict.PlaceFrame{}, Return: pc.Kind == unwind.Return,
	}
	var unknown *vmlinux.UnknownError
	switch {
	case errors.As(a.Err, &unknown):
		p.Reason = unknown.Reason.String()
	case a.Err != nil:
		p.Reason = a.Err.Error()
	}
	frame := verdict.PlaceFrame{Symbol: a.Symbol.Name, Function: a.Symbol.Name}
	if a.Symbol.Name != "" {
		frame.Offset, frame.Size = pc.Addr-uint64(a.Symbol.Addr), a.Symbol.Size
	}
	for _, l := range a.Locations {
		f := frame
		f.Function, f.File, f.Line, f.Column, f.Inline = l.Function, l.File, l.Line, l.Column, l.Inline
		p.Frames = append(p.Frames, f)
	}
	if len(a.Locations) == 0 && frame.Symbol != "" {
		p.Frames = append(p.Frames, frame)
	}
	if frame.Symbol == "" && k.File.IsText(vmlinux.Addr(pc.Lookup())) {
		p.Reason = "between functions"
	}
	return p
}
