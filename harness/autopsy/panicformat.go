package autopsy

import (
	"bytes"
	"strconv"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
)

// panicArgs are the registers of panic(fmt, ...)'s first arguments after fmt (psABI, 3.2.3).
func panicArgs(r amd64.Registers) []uint64 { return []uint64{r.RSI, r.RDX, r.RCX, r.R8, r.R9} }

// maxPanicText bounds the format and each string in it, in bytes; the kernel's own buffer has 1024 (kernel/panic.c).
const maxPanicText = 256

// panicFormatted is the text of a panic whose vCPU stands at the entry of panic(): its format with the registers put in. That is
// where boots are held and cores are made, before the kernel has logged it. What cannot be told stays as the format has it. Empty: no
// vCPU stands there.
func (s *Scene) panicFormatted(e *Evidence) string {
	if s.Kernel == nil || s.Placement == nil {
		return ""
	}
	for _, name := range []string{"panic", "vpanic"} {
		sym, ok := s.Kernel.Symbol(name)
		for i := range e.Chains {
			r := e.Chains[i].Regs
			if !ok || r.RIP != s.Placement.Run(uint64(sym.Addr)) {
				continue
			}
			args := panicArgs(r)
			if name == "vpanic" { // they are in a va_list
				args = nil
			}
			mem, _ := s.memory(r) // a string may be on a stack, which only the vCPU's own page tables have
			format, _ := stringAt(mem, r.RDI)
			text, _, _ := strings.Cut(strings.TrimSpace(formatted(format, args, func(at uint64) (string, bool) { return stringAt(mem, at) })), "\n")
			return text
		}
	}
	return ""
}

// stringAt reads a string up to its end, or as much as may be shown of it.
func stringAt(mem linux.Memory, at uint64) (string, bool) {
	var b [maxPanicText]byte
	n, _ := mem.ReadMemory(b[:], at) // what could be read before an error counts
	text, _, ended := bytes.Cut(b[:n], []byte{0})
	return string(text), ended
}

// formatted puts arguments into a format of printk's as far as they go: %s, %c, %% and whole numbers. From the first conversion on that
// it does not know (%p has forms of its own, Documentation/core-api/printk-formats.rst), or has no argument for, it leaves the rest as it is.
func formatted(format string, args []uint64, str func(uint64) (string, bool)) string {
	var b strings.Builder
	for {
		before, rest, ok := strings.Cut(format, "%")
		b.WriteString(before)
		if !ok {
			return b.String()
		}
		whole := "%" + rest
		flags := len(rest) - len(strings.TrimLeft(rest, "#0123456789-+ "))
		size := len(rest[flags:]) - len(strings.TrimLeft(rest[flags:], "lhzt"))
		wide := strings.ContainsAny(rest[flags:flags+size], "lzt")
		if rest[flags+size:] == "" {
			return b.String() + whole
		}
		verb := rest[flags+size]
		format = rest[flags+size+1:]
		if verb == '%' {
			b.WriteByte('%')
			continue
		}
		if len(args) == 0 {
			return b.String() + whole
		}
		text, ok := "", false
		if verb == 's' {
			text, ok = str(args[0])
		} else {
			text, ok = number64(verb, rest[:flags], args[0], wide)
		}
		if !ok {
			return b.String() + whole
		}
		b.WriteString(text)
		args = args[1:]
	}
}

// number64 is an argument as a whole number, with leading zeros and 0x if the flags ask for them.
func number64(verb byte, flags string, v uint64, wide bool) (string, bool) {
	signed := int64(v)
	if !wide {
		v, signed = uint64(uint32(v)), int64(int32(v))
	}
	text := ""
	switch verb {
	case 'd', 'i':
		text = strconv.FormatInt(signed, 10)
	case 'u':
		text = strconv.FormatUint(v, 10)
	case 'x', 'X':
		text = strconv.FormatUint(v, 16)
	case 'c':
		return string(rune(v & 0x7f)), true
	default:
		return "", false
	}
	width := strings.TrimLeft(flags, "#-+ ")
	if n, err := strconv.Atoi(width); err == nil && strings.HasPrefix(width, "0") && n < 32 {
		text = strings.Repeat("0", max(0, n-len(text))) + text
	}
	if strings.Contains(flags, "#") && (verb == 'x' || verb == 'X') {
		text = "0x" + text
	}
	return text, true
}
