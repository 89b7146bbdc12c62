package trace

import (
	"bytes"

	"kcatch/gdb/unwind"
)

// Place is code that a line speaks of: by symbol, by address, or by both.
type Place struct {
	// Start and End are the place in the line, in bytes: of "f+0x1/0x2", or of the address where there is no symbol.
	Start, End int

	Symbol       string // empty where only the address is told
	Offset, Size uint64 // bytes; Size counts to the next symbol
	Module       string // as the kernel shows it ("nf_tables"); empty for the kernel's own code
	BuildID      string // of the module, in hex, with CONFIG_STACKTRACE_BUILD_ID; else empty
	Addr         uint64 // at run time; 0 where it is not told
	// Kind: the line says that the CPU is there, or has been called from there.
	Kind  unwind.Kind
	Guess bool // the kernel marks it "? ": on the stack, but perhaps of another call
	Entry bool // it begins the line's message, as an entry of a call trace does
}

// The bounds of what is looked at. Names of the kernel have at most 511 bytes since 6.1 (KSYM_NAME_LEN), of modules 55.
const (
	maxLine   = 64 << 10
	maxPlaces = 32
	maxTries  = 128 // of what only looks like one
	maxBefore = 256 // bytes before a place that say what it is
	maxSymbol = 511
	maxModule = 64
)

// lowest is the lowest address that is taken for the kernel's code: __START_KERNEL_map. Modules follow it.
const lowest = 0xffffffff80000000

var plus, kernelHalf = []byte("+0x"), []byte("ffffffff")

// Find appends the places in a line to dst, in their order, at most 32. Lines longer than 64 KiB have none.
func Find(line []byte, dst []Place) []Place {
	if len(line) > maxLine {
		return dst
	}
	first := len(dst)
	if bytes.Contains(line, plus) {
		dst = symbols(line, dst)
	}
	if bytes.Contains(line, kernelHalf) {
		dst = addresses(line, dst, first)
	}
	return dst
}

// symbols finds "f+0x1a/0x130", with what stands around it.
func symbols(line []byte, dst []Place) []Place {
	begin := message(line)
	for from, n, tries := 0, 0, 0; n < maxPlaces && tries < maxTries; tries++ {
		i := bytes.Index(line[from:], plus)
		if i < 0 {
			break
		}
		i += from
		start := i
		for start > from && symbolByte(line[start-1]) && i-start <= maxSymbol {
			start--
		}
		start = behindColour(line, start, i)
		from = i + len(plus)
		offset, end, ok := hex(line, from)
		if !ok || start == i || i-start > maxSymbol || digit(line[start]) || !bytes.HasPrefix(line[end:], []byte("/0x")) {
			continue
		}
		size, end, ok := hex(line, end+3)
		if !ok || offset > size || end < len(line) && symbolByte(line[end]) {
			continue
		}
		p := Place{Start: start, End: end, Symbol: string(line[start:i]), Offset: offset, Size: size}
		p.Module, p.BuildID = module(line[end:])
		p.around(line, begin)
		from = end
		dst = append(dst, p)
		n++
	}
	return dst
}

// behindColour moves the start of a name behind a colour before it, whose end looks like the name's: "\x1b[1;31mvfs_read".
func behindColour(line []byte, start, end int) int {
	const longest = 16
	if start == end || !digit(line[start]) {
		return start
	}
	for i := start - 1; i > 0 && start-i < longest && (digit(line[i]) || line[i] == ';' || line[i] == '['); i-- {
		if line[i] == '[' && line[i-1] == 0x1b {
			if n := escape(line[i-1 : end]); n > 0 {
				return i - 1 + n
			}
		}
	}
	return start
}

// around reads what stands before a place: its address, "? ", and what the line says of it.
func (p *Place) around(line []byte, begin int) {
	before := uncoloured(line[max(min(begin, p.Start), p.Start-maxBefore):p.Start])
	if b, ok := bytes.CutSuffix(before, []byte("? ")); ok {
		before, p.Guess = b, true
	}
	trimmed := bytes.TrimRight(before, " ")
	for n := 0; n < 2; n++ { // before 4.10, "RIP: 0010:[<ffffffff8107d4e6>]  [<ffffffff8107d4e6>] f+0x1/0x2"
		open := bytes.LastIndex(trimmed, []byte("[<"))
		if open < 0 || !bytes.HasSuffix(trimmed, []byte(">]")) {
			break
		}
		addr, end, ok := hex(trimmed, open+2)
		if !ok || end != len(trimmed)-2 {
			break
		}
		if addr >= lowest && p.Symbol != "" {
			p.Addr = addr
		}
		trimmed = bytes.TrimRight(trimmed[:open], " ")
		before = trimmed
	}
	p.Entry = len(bytes.TrimSpace(trimmed)) == 0 && p.Start-begin < maxBefore
	p.Kind = unwind.Return
	// The start of a function is no return address: "calling  f+0x0/0x20 @ 1".
	if p.Symbol != "" && p.Offset == 0 || exact(before) {
		p.Kind = unwind.Exact
	}
}

// exact reports whether a place is where the CPU is, by what stands before it in the message: "RIP: 0010:", "IP: ",
// "IP 10:" (an early exception), "rIP: 0xffffffff8107d4e6 (" (an MSR that is not there), "skipped: idling at " (a CPU that needs no
// backtrace), and the address of the instruction that traps in a WARNING.
func exact(before []byte) bool {
	if warning(before) || bytes.HasSuffix(before, []byte("idling at ")) {
		return true
	}
	if open, ok := bytes.CutSuffix(before, []byte(" (")); ok {
		i := bytes.LastIndex(open, []byte("rIP: 0x"))
		if i < 0 {
			return false
		}
		_, end, ok := hex(open, i+len("rIP: 0x"))
		return ok && end == len(open)
	}
	i := bytes.LastIndex(before, []byte("IP"))
	if i < 0 {
		i = bytes.LastIndex(before, []byte("rip "))
	}
	if i < 0 {
		return false
	}
	rest := bytes.Trim(before[i+2:], "p ")
	if bytes.HasPrefix(rest, []byte(":")) {
		rest = bytes.TrimLeft(rest[1:], " ")
	}
	segment, ok := bytes.CutSuffix(rest, []byte(":"))
	if !ok {
		return len(rest) == 0
	}
	_, end, ok := hex(segment, 0)
	return ok && end == len(segment)
}

// warning reports whether a place is that of a WARNING, behind whose " at " stand a file and a line, or, in later kernels, before it:
//
//	WARNING: CPU: 0 PID: 1 at mm/x.c:12 f+0x1/0x2
//	WARNING: mm/x.c:12 at f+0x1/0x2, CPU#0: init/1
//
// "WARNING: can't access registers at f+0x1/0x2" of the unwinder is of a return address (%pB).
func warning(before []byte) bool {
	i := bytes.Index(before, []byte("WARNING: "))
	if i < 0 {
		return false
	}
	said := before[i+len("WARNING: "):]
	at := bytes.LastIndex(said, []byte(" at "))
	if at < 0 {
		return false
	}
	return lineNumber(said[:at]) || lineNumber(bytes.TrimRight(said[at+len(" at "):], " "))
}

// lineNumber reports whether text ends in ":12".
func lineNumber(text []byte) bool {
	n := len(text)
	for n > 0 && digit(text[n-1]) {
		n--
	}
	return n > 0 && n < len(text) && text[n-1] == ':' && !bytes.HasSuffix(text[:n], []byte("PID:"))
}

// module reads " [nf_tables]" or " [nf_tables 0123...]" behind a symbol.
func module(rest []byte) (name, buildID string) {
	rest, ok := bytes.CutPrefix(rest, []byte(" ["))
	if !ok {
		return "", ""
	}
	end := bytes.IndexByte(rest[:min(len(rest), maxModule+66)], ']')
	if end < 0 {
		return "", ""
	}
	word, id, _ := bytes.Cut(rest[:end], []byte(" "))
	if len(word) == 0 || len(word) > maxModule || !isBuildID(id) && len(id) > 0 {
		return "", ""
	}
	for _, c := range word {
		if !symbolByte(c) && c != '-' {
			return "", ""
		}
	}
	return string(word), string(id)
}

// addresses finds what is told by its address alone, in the forms that mean code: "[<ffffffff8107d4e6>]",
// "IP 10:ffffffff8107d4e6", "RIP: 0010:0xffffffff8107d4e6", and a call trace's " ? 0xffffffff8107d4e6" of a kernel
// without CONFIG_KALLSYMS. A register may hold an address of code, too, but does not say so.
func addresses(line []byte, dst []Place, first int) []Place {
	begin := message(line)
	again := uint64(0) // the address that the next place says again
	for from, n, tries := 0, 0, 0; n < maxPlaces && tries < maxTries; tries++ {
		i := bytes.Index(line[from:], kernelHalf)
		if i < 0 {
			break
		}
		i += from
		addr, end, ok := hex(line, i)
		from = max(end, i+1)
		if !ok || end-i != 16 || addr < lowest || i > 0 && symbolByte(line[i-1]) && line[i-1] != 'x' || end < len(line) && symbolByte(line[end]) || claimed(dst[first:], addr, line, i, end) {
			continue
		}
		p := Place{Start: i, End: end, Addr: addr}
		if bytes.HasSuffix(line[:i], []byte("0x")) {
			p.Start -= 2
		}
		angled := bytes.HasSuffix(line[:i], []byte("[<")) && bytes.HasPrefix(line[end:], []byte(">]"))
		if angled {
			p.Start, p.End = i-2, end+2
		}
		p.around(line, begin)
		whole := p.Entry && !angled && p.Start < i && end == len(bytes.TrimRight(line, " \r\n"))
		if angled && twice(line[p.End:], line[i:end]) {
			from, again = p.End, addr // what follows is the place
			continue
		}
		if !angled && !whole && p.Kind != unwind.Exact && again != addr {
			continue
		}
		again = 0
		if whole && p.Start == 0 && !p.Guess {
			p.Kind = unwind.Exact // nothing but an address: somebody asks for it
		}
		dst = append(dst, p)
		n++
	}
	if len(dst)-first > 1 {
		sortByStart(dst[first:])
	}
	return dst
}

// twice reports whether the text behind an address in angles is that address again, as a kernel without CONFIG_KALLSYMS writes it:
// "[<ffffffff8107d4e6>] ? 0xffffffff8107d4e6".
func twice(rest, digits []byte) bool {
	rest, ok := bytes.CutPrefix(bytes.TrimLeft(rest, " ?"), []byte("0x"))
	return ok && bytes.HasPrefix(rest, digits)
}

// claimed reports whether an address, from at to before end, belongs to a symbol that follows it: by its form, or because it was
// added to it when the text came through here before. That one then has its address. What is the name of a place is no address, either.
func claimed(places []Place, addr uint64, line []byte, at, end int) bool {
	for i := range places {
		p := &places[i]
		if p.Symbol != "" && at >= p.Start && at < p.End {
			return true
		}
		if p.Symbol == "" || end > p.Start {
			continue
		}
		if p.Addr == addr {
			return true
		}
		switch string(line[end:p.Start]) {
		case " ", " (", ">] (": // "rIP: 0xffffffff8107d4e6 (f+0x1/0x2)"
			p.Addr = addr
			return true
		}
	}
	return false
}

// sortByStart is an insertion sort: a line has few places, nearly in order.
func sortByStart(p []Place) {
	for i := 1; i < len(p); i++ {
		for j := i; j > 0 && p[j].Start < p[j-1].Start; j-- {
			p[j], p[j-1] = p[j-1], p[j]
		}
	}
}

func symbolByte(c byte) bool {
	return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || digit(c) || c == '_' || c == '.' || c == '$'
}

func digit(c byte) bool { return c >= '0' && c <= '9' }

// hex reads 1 to 16 hex digits from i on. ok is false where there are none, or more.
func hex(b []byte, i int) (v uint64, end int, ok bool) {
	end = i
	for ; end < len(b) && end-i <= 16; end++ {
		c := b[end]
		switch {
		case digit(c):
			c -= '0'
		case c >= 'a' && c <= 'f':
			c -= 'a' - 10
		case c >= 'A' && c <= 'F':
			c -= 'A' - 10
		default:
			return v, end, end > i
		}
		v = v<<4 | uint64(c)
	}
	return v, end, end > i && end-i <= 16
}
