package value

import (
	"debug/dwarf"
	"errors"
	"fmt"
)

// Scope is what an expression's names mean at one place of a stopped kernel.
type Scope interface {
	Memory
	// Variable is a local, an argument, a global or an enumerator by name; false where there is none. A value that cannot be had has
	// its Err; the error here is for a scope that cannot be searched.
	Variable(name string) (Value, bool, error)
	// Type is a type by its C name: "struct page", "enum pageflags", "gfp_t". It is not asked for C's own types.
	Type(name string) (dwarf.Type, error)
	// Complete gives a structure or union that is only declared its members: it is found by its name, or where it was left out
	// because it stood behind a pointer. Any other type is returned as it is.
	Complete(t dwarf.Type) (dwarf.Type, error)
}

// Expression is a C expression over a kernel's variables: page->_refcount, *(int *)0xffffea0000000034, &init_task.usage,
// ((struct page *)0xffffea0000000000)[1].flags & 1, a->b && a->c != 3, sizeof(struct page). It reads and never writes.
//
// Types are named in casts and sizeof; a name in parentheses alone is a type when it ends in _t or is one of u8, s32 and the
// like, and the name of a variable otherwise. What C makes of int, long, unsigned, pointers and arrays is done here too. A
// structure of one number (atomic_t) counts as that number. Of functions, those are known that only read: atomic_read, READ_ONCE,
// likely, page_count, list_empty, IS_ERR, compound_head... (accessor.go); GNU's ({ ...; x; }) is x.
type Expression struct {
	text string
	root *node
}

// Parse reads an expression. The error is a [*ParseError], one line that says where and what.
func Parse(text string) (Expression, error) { return ParseWith(text, nil) }

// ParseWith is Parse with more macros, which are asked before the known accessors.
func ParseWith(text string, macros Macros) (Expression, error) {
	in, err := tokens(text)
	if err != nil {
		return Expression{}, err
	}
	x := expander{text: text, left: maxTokens, macros: func(name string) (Macro, bool) {
		if macros != nil {
			if m, ok := macros(name); ok {
				return m, true
			}
		}
		m, ok := accessors[name]
		return m, ok
	}}
	if in, err = x.expand(in, nil); err != nil {
		return Expression{}, err
	}
	p := parser{text: text, in: in}
	root, err := p.whole()
	if err != nil {
		return Expression{}, err
	}
	return Expression{text, root}, nil
}

// String is the expression as it was given.
func (e Expression) String() string { return e.text }

// Expanded is the expression with its macros and accessors replaced: page->_refcount for atomic_read(&page->_refcount).
func (e Expression) Expanded() string {
	if e.root == nil {
		return ""
	}
	return e.root.String()
}

// Eval is the expression's value. An lvalue (a variable, a member, what a pointer points to) has Addr and HasAddr, and Bytes of at
// most 64 KiB of it. Where all but the last read was possible, the value still has Type, Addr and HasAddr beside the error, so
// that memory that is not mapped can be watched.
//
// Errors name the part that failed and why: ErrOptimizedOut (wrapped), [*ReadError], a name that is not there, a
// function that cannot be called.
func (e Expression) Eval(s Scope) (Value, error) {
	if e.root == nil {
		return Value{}, errors.New("no expression")
	}
	ev := evaluator{scope: s}
	o, err := ev.eval(e.root)
	if err != nil {
		return Value{}, err
	}
	v := ev.value(o)
	if v.Err != nil {
		return v, fmt.Errorf("%s: %w", e.root, v.Err)
	}
	return v, nil
}

// ErrFunction is the error of what an expression would have to call.
var ErrFunction = errors.New("cannot call a function")

// Read is an object that an expression reads, or a function that it would call: that has [ErrFunction].
type Read struct {
	// Text is the part of the expression that names it, with accessors replaced: page->_refcount for
	// atomic_read(&page->_refcount).
	Text string
	// Value has Addr and HasAddr where it lies in memory, and Size bytes there. Err is set where it could not be read; without
	// HasAddr also where its place is not known.
	Value Value
	// Through says that it was read only to find another one: page, for page->_refcount.
	Through bool
}

// Size is how many bytes of memory hold the value, a bit field's whole bytes.
func (v Value) Size() int64 {
	if v.BitSize > 0 {
		return int64(v.BitOffset+v.BitSize+7) / 8
	}
	return SizeOf(v.Type)
}

// Reads is every object that the expression reads in a scope, in the order of reading, each once. && || and ?: read only what they
// come to. Where a part has no value (a function, a variable that is optimized out), the rest is read all the same.
func (e Expression) Reads(s Scope) []Read {
	if e.root == nil {
		return nil
	}
	ev := evaluator{scope: s, collect: true}
	if o, err := ev.eval(e.root); err == nil && o.lvalue {
		ev.read(o, ev.value(o), false)
	}
	return ev.reads
}

// ReadError is memory that an expression needs and that cannot be read.
type ReadError struct {
	Addr uint64
	Size int64
	Err  error
}

func (e *ReadError) Error() string { return fmt.Sprintf("cannot read 0x%x: %v", e.Addr, e.Err) }

func (e *ReadError) Unwrap() error { return e.Err }
