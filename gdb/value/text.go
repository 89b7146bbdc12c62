package value

import (
	"debug/dwarf"
	"errors"
	"fmt"
	"strings"
)

// TextOptions is how a value is shown, and what may be read for it. The zero value shows what the bytes say by themselves.
type TextOptions struct {
	// Depth is how many levels of pointers to structures are followed and shown, 0..3.
	Depth int
	// Memory is where pointers and strings are read; nil: they are not.
	Memory Memory
	// Name names a run-time address of code or data, "init_task+0x10"; "" for one that has no name. nil: none has.
	Name func(addr uint64) string
	// Flags gives the names of a typedef's bits ("gfp_t"), and nil for one whose bits have none. nil: none have.
	Flags func(typedef string) []Flag
	// Complete gives a structure that is only declared its members, as [Scope] has it; nil: it stays opaque.
	Complete func(dwarf.Type) (dwarf.Type, error)
	// Member is the name of the variable or member that the value is, which tells bits from counts; "" is not known.
	Member string
	// Limit bounds the text in bytes; 0 is DefaultLimit. What is cut, after a word, ends in "...".
	Limit int
}

// DefaultLimit is the longest text in bytes where none is given.
const DefaultLimit = 1000

// Bounds on what is shown of one value.
const (
	maxDepth    = 3
	maxNesting  = 16      // structures in structures
	maxElements = 16      // of an array, repeats counted as one
	maxString   = 128     // bytes
	maxObject   = 1 << 16 // bytes that are read behind one pointer
)

// Text is the value as C text, in one line: 12, 0xffff888003c1a000 <init_task+0x10>, "swapper/0", {.next = 0x..., .prev = 0x...}.
//
//   - Integers are decimal. Hexadecimal are pointers, addresses of the kernel's half in any unsigned type, typedefs and members that
//     hold flags or physical addresses, and per-typedef flags that have no name.
//   - A char * or an array of char is a string with C's escapes. A char is its number and its character, 97 'a'.
//   - NULL, ERR_PTR(-ENOMEM), and a name for a pointer that has one. A pointer to a structure that is followed (Depth) is
//     0xffff888003c1a000 -> {...}.
//   - An enum is its name, or the names of its bits: A | B | 0x10.
//   - A structure of one number is that number: atomic_t, refcount_t, kuid_t, pte_t. One that is zero all over is {0}.
//   - <optimized out> is only what DWARF says; <cannot read ...> gives the reason.
//
// The text holds no control characters, whatever memory holds: all that is not printable ASCII is escaped.
func (v Value) Text(o TextOptions) string {
	p := printer{o: o, limit: o.Limit}
	if p.limit <= 0 {
		p.limit = DefaultLimit
	}
	p.o.Depth = max(0, min(o.Depth, maxDepth))
	switch {
	case errors.Is(v.Err, ErrOptimizedOut):
		return "<optimized out>"
	case v.Err != nil:
		return fit("<"+cannot(v.Err)+">", p.limit)
	case v.unbounded() && o.Memory != nil:
		p.string(v.Addr)
		return fit(strings.TrimPrefix(p.b.String(), " "), p.limit)
	case v.BitSize > 0:
		n, ok := v.bits()
		if !ok {
			return "<not known>"
		}
		p.number(v.Type, n, o.Member)
	default:
		p.object(v.Type, v.Bytes, o.Member, 0)
	}
	return fit(p.b.String(), p.limit)
}

// unbounded reports whether a value is an array of char whose length the debug information does not say: char linux_banner[].
func (v Value) unbounded() bool {
	a, ok := Resolve(v.Type).(*dwarf.ArrayType)
	return ok && a.Count <= 0 && isChar(a.Type) && v.HasAddr
}

// cannot is the text of an error in a value: one line, which begins with "cannot".
func cannot(err error) string {
	text := clean(err.Error())
	if strings.HasPrefix(text, "cannot ") {
		return text
	}
	return "cannot read: " + text
}

// fit cuts a text to limit bytes, at the end of a word where one ends near: half an address would be read as another one.
func fit(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	cut := max(0, limit-3)
	for at := cut; at > max(0, cut-maxWord); at-- {
		if !ofWord(s[at-1]) || !ofWord(s[at]) {
			return s[:at] + "..."
		}
	}
	return s[:cut] + "..."
}

// maxWord is above the longest word that is not cut, in bytes: 0x and 16 digits, and most names.
const maxWord = 40

func ofWord(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// Flag is a named bit, or a named set of bits.
type Flag struct {
	Name string
	Mask uint64
}

// FlagText is bits by name, "A | B | 0x10", as the kernel's own %pGg and %pGp take them: in the order of the list, a set of
// bits where all of it is there, and each bit once. 0 is "0".
func FlagText(bits uint64, flags []Flag) string {
	if bits == 0 {
		return "0"
	}
	var names []string
	for _, f := range flags {
		if f.Mask != 0 && bits&f.Mask == f.Mask {
			names = append(names, clean(f.Name))
			bits &^= f.Mask
		}
	}
	if bits != 0 {
		names = append(names, fmt.Sprintf("0x%x", bits))
	}
	return strings.Join(names, " | ")
}

// printer writes one value. It stops adding when the limit is passed, so that a hostile type costs no more than that, nor one that
// has many members and no text.
type printer struct {
	o     TextOptions
	b     strings.Builder
	limit int
	steps int // members that were looked at
}

func (p *printer) full() bool { return p.b.Len() > p.limit || p.steps > maxSteps }

func (p *printer) say(format string, args ...any) { fmt.Fprintf(&p.b, format, args...) }

// object writes the object of type t whose bytes are b. member is the name of the member that it is, or "".
func (p *printer) object(t dwarf.Type, b []byte, member string, nesting int) {
	if p.full() {
		return
	}
	if nesting > maxNesting {
		p.say("{...}")
		return
	}
	switch u := Resolve(t).(type) {
	case nil:
		p.say("void")
	case *dwarf.StructType:
		p.structure(u, b, nesting)
	case *dwarf.ArrayType:
		p.array(u, b, nesting)
	case *dwarf.PtrType:
		if n, ok := uintOf(b, 8); ok {
			p.pointer(u, n, nesting)
		} else {
			p.say("<not known>")
		}
	case *dwarf.FuncType:
		p.say("{%s}", TypeName(t))
	case *dwarf.FloatType:
		p.float(b, u.ByteSize)
	default:
		if n, ok := uintOf(b, SizeOf(u)); ok {
			p.number(t, n, member)
		} else if size := SizeOf(u); size > 8 && size <= int64(len(b)) { // __int128
			p.say("0x")
			for i := size - 1; i >= 0; i-- {
				p.say("%02x", b[i])
			}
		} else {
			p.say("<not known>")
		}
	}
}

func (p *printer) structure(t *dwarf.StructType, b []byte, nesting int) {
	if t = p.complete(t); t.Incomplete {
		p.say("{...}")
		return
	}
	if inner, ok := wrapped(t); ok {
		p.object(inner.Type, b[min(len(b), int(max(0, inner.ByteOffset))):], inner.Name, nesting+1)
		return
	}
	if zero(b) {
		p.say("{0}")
		return
	}
	p.say("{")
	first := true
	p.members(t, b, nesting, &first)
	p.say("}")
}

// complete is t with its members, or t where they are not to be had.
func (p *printer) complete(t *dwarf.StructType) *dwarf.StructType {
	if t.Incomplete && p.o.Complete != nil {
		if full, err := p.o.Complete(t); err == nil {
			if s, ok := Resolve(full).(*dwarf.StructType); ok {
				return s
			}
		}
	}
	return t
}

// members writes the members of a structure; those of an anonymous one as the outer one's own, as a C initializer may.
func (p *printer) members(t *dwarf.StructType, b []byte, nesting int, first *bool) {
	for _, f := range t.Field {
		if p.full() {
			return
		}
		if p.steps++; p.steps > maxSteps {
			p.say("...")
			return
		}
		if f.Name == "" && f.BitSize == 0 {
			if inner, ok := Resolve(f.Type).(*dwarf.StructType); ok && nesting < maxNesting {
				p.members(inner, from(b, f.ByteOffset), nesting+1, first)
				continue
			}
		}
		if !*first {
			p.say(", ")
		}
		*first = false
		p.say(".%s = ", clean(f.Name))
		if f.BitSize != 0 {
			m := member(f, b)
			if n, ok := m.bits(); ok {
				p.number(f.Type, n, f.Name)
			} else {
				p.say("<not known>")
			}
			continue
		}
		p.object(f.Type, from(b, f.ByteOffset), f.Name, nesting+1)
	}
}

// from is b from a member's offset on; empty when the offset lies outside.
func from(b []byte, off int64) []byte {
	if off < 0 || off > int64(len(b)) {
		return nil
	}
	return b[off:]
}

// wrapped is the one member of a structure that holds one number and nothing else: atomic_t, refcount_t, kuid_t, pte_t.
func wrapped(t *dwarf.StructType) (*dwarf.StructField, bool) {
	if len(t.Field) != 1 || t.Kind == "union" || t.Field[0].BitSize != 0 {
		return nil, false
	}
	f := t.Field[0]
	for range maxNesting {
		switch inner := Resolve(f.Type).(type) {
		case *dwarf.StructType:
			if len(inner.Field) != 1 || inner.Kind == "union" || inner.Field[0].BitSize != 0 {
				return nil, false
			}
			f = inner.Field[0]
		case nil, *dwarf.PtrType, *dwarf.ArrayType, *dwarf.FuncType, *dwarf.FloatType:
			return nil, false
		default:
			return t.Field[0], true
		}
	}
	return nil, false
}

func zero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return len(b) > 0
}

func (p *printer) array(t *dwarf.ArrayType, b []byte, nesting int) {
	size, n := SizeOf(t.Type), t.Count
	if isChar(t.Type) {
		if n < 0 {
			n = int64(len(b))
		}
		p.quote(b[:min(int64(len(b)), n)], maxString)
		return
	}
	switch {
	case n < 0: // a flexible array's length is not in its type
		p.say("{...}")
		return
	case n == 0 || size == 0:
		p.say("{}")
		return
	}
	p.say("{")
	shown := 0
	for i := int64(0); i < n && !p.full(); shown++ {
		if i > 0 {
			p.say(", ")
		}
		if shown == maxElements {
			p.say("... %d more", n-i)
			break
		}
		if (i+1)*size > int64(len(b)) {
			p.say("<not known>")
			break
		}
		element := b[i*size : (i+1)*size]
		same := int64(1)
		for i+same < n && (i+same+1)*size <= int64(len(b)) && string(b[(i+same)*size:(i+same+1)*size]) == string(element) {
			same++
		}
		p.object(t.Type, element, "", nesting+1)
		if same > 1 { // gdb's words
			p.say(" <repeats %d times>", same)
		}
		i += same
	}
	p.say("}")
}

func (p *printer) pointer(t *dwarf.PtrType, addr uint64, nesting int) {
	const errPtr = ^uint64(maxErrno) + 1 // (unsigned long)-MAX_ERRNO
	switch {
	case addr == 0:
		p.say("NULL")
		return
	case addr >= errPtr:
		if name := errnoName(-addr); name != "" {
			p.say("ERR_PTR(-%s)", name)
		} else {
			p.say("ERR_PTR(-%d)", -addr)
		}
		return
	}
	p.say("0x%x", addr)
	p.name(addr)
	if p.o.Memory == nil {
		return
	}
	if isChar(t.Type) {
		p.string(addr)
		return
	}
	target, ok := Resolve(t.Type).(*dwarf.StructType)
	if !ok || p.o.Depth == 0 {
		return
	}
	target = p.complete(target)
	size := SizeOf(target)
	if size == 0 || size > maxObject {
		return
	}
	b := make([]byte, size)
	n, err := p.o.Memory.ReadMemory(b, addr)
	if err != nil && n <= 0 {
		p.say(" -> <cannot read 0x%x: %s>", addr, clean(err.Error()))
		return
	}
	p.say(" -> ")
	p.o.Depth--
	p.structure(target, b[:max(0, min(n, len(b)))], nesting+1)
	p.o.Depth++
}

func (p *printer) name(addr uint64) {
	if p.o.Name == nil {
		return
	}
	if s := p.o.Name(addr); s != "" {
		p.say(" <%s>", clean(s))
	}
}

// string writes the string that a char * points to. Small pieces, so that one at the end of what can be read is still had.
func (p *printer) string(addr uint64) {
	var s []byte
	for len(s) <= maxString {
		var b [32]byte
		n, err := p.o.Memory.ReadMemory(b[:], addr+uint64(len(s)))
		n = max(0, min(n, len(b)))
		for _, c := range b[:n] {
			if s = append(s, c); c == 0 {
				p.b.WriteByte(' ')
				p.quote(s, maxString)
				return
			}
		}
		if err != nil || n == 0 {
			if len(s) == 0 {
				p.say(" <cannot read 0x%x: %s>", addr, clean(fmt.Sprint(err)))
				return
			}
			break
		}
	}
	p.b.WriteByte(' ')
	p.quote(s, maxString)
}

// quote writes bytes as a C string up to the first NUL, and "..." where there is none within limit bytes.
func (p *printer) quote(s []byte, limit int) {
	p.b.WriteByte('"')
	for i, c := range s {
		if c == 0 {
			break
		}
		if i == limit {
			p.b.WriteString(`"...`)
			return
		}
		p.b.WriteString(escape(c, '"'))
	}
	p.b.WriteByte('"')
}

// escape is one byte of a C string or character constant. Three octal digits, because \x1b in front of a letter reads on.
func escape(c, quote byte) string {
	switch {
	case c == '\n':
		return `\n`
	case c == '\t':
		return `\t`
	case c == '\r':
		return `\r`
	case c == quote || c == '\\':
		return `\` + string(rune(c))
	case c < ' ' || c > '~':
		return fmt.Sprintf(`\%03o`, c)
	}
	return string(rune(c))
}
