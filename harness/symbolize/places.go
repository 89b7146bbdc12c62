package symbolize

import (
	"errors"

	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
)

// Kernel is a vmlinux, and how far from its link address the kernel ran: Slide is what is added to link-time addresses, 0 without
// KASLR.
type Kernel struct {
	File  *vmlinux.File
	Slide uint64
}

// Answer is what becomes of one word: places, more than one where several functions fit it, or why there are none.
type Answer struct {
	Places []verdict.Place
	Err    error // of [blame.Usage]: no such function, or not of that size
}

// Places answers for words, all at once: a thousand words together take a tenth of the time that they take one by one.
func (k Kernel) Places(words []Word) []Answer {
	out := make([]Answer, len(words))
	addrs := make([]vmlinux.Addr, 0, len(words))
	of := make([]int, 0, len(words)) // the word of each address
	for i, w := range words {
		all, err := w.addresses(k.File, k.Slide)
		out[i].Err = err
		for _, a := range all {
			addrs, of = append(addrs, a), append(of, i)
		}
	}
	for n, a := range k.File.LocateAll(addrs) {
		to := &out[of[n]]
		to.Places = append(to.Places, k.place(addrs[n], a))
	}
	return out
}

func (k Kernel) place(at vmlinux.Addr, a vmlinux.Answer) verdict.Place {
	p := verdict.Place{Schema: verdict.PlaceSchema, Address: verdict.Hex(uint64(at) + k.Slide), Frames: []verdict.PlaceFrame{}}
	var unknown *vmlinux.UnknownError
	switch {
	case errors.As(a.Err, &unknown):
		p.Reason = unknown.Reason.String()
	case a.Err != nil:
		p.Reason = a.Err.Error()
	}
	frame := verdict.PlaceFrame{Symbol: a.Symbol.Name, Function: a.Symbol.Name}
	if a.Symbol.Name != "" {
		frame.Offset, frame.Size = uint64(at-a.Symbol.Addr), a.Symbol.Size
	}
	for _, l := range a.Locations {
		f := frame
		f.Function, f.File, f.Line, f.Column, f.Inline = l.Function, l.File, l.Line, l.Column, l.Inline
		p.Frames = append(p.Frames, f)
	}
	if len(a.Locations) == 0 && frame.Symbol != "" {
		p.Frames = append(p.Frames, frame)
	}
	if frame.Symbol == "" && k.File.IsText(at) {
		p.Reason = "between functions"
	}
	return p
}
