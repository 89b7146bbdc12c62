package trace

import (
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
)

// Symbols is what a Filter asks of a kernel's files.
type Symbols interface {
	// Symbol answers for a place with a symbol, by that symbol.
	Symbol(p Place) Answer
	// At answers for a link-time address of the kernel itself, exact or a return address as kind says. ok is false where no code is.
	At(link uint64, kind unwind.Kind) (answer Answer, ok bool)
}

// Preparer is a Symbols that may be told beforehand what it will be asked: places of the text that is at hand. Many are answered
// together in a fraction of the time.
type Preparer interface{ Prepare(places []Place) }

// Answer is what is known of a place. The zero value is nothing.
type Answer struct {
	// Link is the place's link-time address: not one less for a return address. 0 where it is not known, or in a module, whose
	// addresses the text does not tell.
	Link uint64
	// Symbol, Offset and Size are the place as the kernel would write it: for one that is told by its address.
	Symbol       string
	Offset, Size uint64
	// Frames are the functions there, innermost first. Empty where there are no lines.
	Frames []vmlinux.Location
	// Several are the places that it may be where that is not known: functions of one name and one size. Frames is empty then.
	// Each is the innermost location.
	Several []vmlinux.Location
	// Reason is why there are no Frames, in a few words.
	Reason string
	// Foreign: the kernel's own file has no function of this name and size. One of the kernel that printed the text has.
	Foreign bool
}
