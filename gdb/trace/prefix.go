package trace

import "bytes"

// message returns where the kernel's own words begin in a line, behind all that printk, dmesg, syslog or a journal put
// before them:
//
//	<4>[    1.234567] text                                  /dev/console with a level
//	[    1.234567][    T1] text                             CONFIG_PRINTK_CALLER; C0 for a CPU
//	kern  :warn  : [    1.234567] text                      dmesg -x
//	[Thu Jan  1 00:00:01 2026] text                         dmesg -T
//	[Jan 1 00:00] text, [  +0.000123] text                  dmesg -H, -e
//	[    1.234567 <    0.000123>] text                      dmesg -d
//	2026-01-01T00:00:01,000000+00:00 text                   dmesg --time-format iso
//	Jan  1 00:00:01 host kernel: [    1.234567] text        syslog, journalctl
//	2026-01-01T00:00:01.000000+00:00 host kernel: text      syslog, journalctl -o short-iso
//	[    1.234567] host kernel: text                        journalctl -o short-monotonic
//	4,1234,1234567,-;text                                   netconsole, /dev/kmsg
//
// dmesg may have coloured them. Blanks that indent the message belong to it, and so do the colours: at most one blank is the prefix's.
func message(line []byte) int {
	i := 0
	for i < len(line) && line[i] == '\r' {
		i++
	}
	before := i
	for _, prefix := range [...]func([]byte) int{syslog, facility, record, isoTime} {
		if n := prefix(line[i:]); n > 0 {
			i += n
			break
		}
	}
	if i+2 < len(line) && line[i] == '<' {
		if end := bytes.IndexByte(line[i:min(len(line), i+6)], '>'); end > 1 && digit(line[i+1]) {
			i += end + 1
			if i == before+end+1 {
				i += syslog(line[i:])
			}
		}
	}
	stamped := false
	for i < len(line) {
		colour := escapes(line[i:])
		n := stamp(line[i+colour:])
		if n == 0 {
			break
		}
		i, stamped = i+colour+n, true
	}
	if stamped && i < len(line) && line[i] == ' ' {
		i++
		if n := escapes(line[i:]); n > 0 && bytes.HasSuffix(line[:i+n], []byte("\x1b[0m")) {
			i += n // the end of the time's colour
		}
	}
	if stamped {
		i += host(line[i:])
	}
	return i
}

// escapes is the length of the colours (SGR) that text begins with: "\x1b[0m\x1b[33m".
func escapes(b []byte) int {
	n := 0
	for {
		e := escape(b[n:])
		if e == 0 || n > longestEscapes {
			return n
		}
		n += e
		if bytes.HasSuffix(b[:n], []byte("\x1b[0m")) {
			return n
		}
	}
}

const longestEscapes = 64

// escape is the length of one "\x1b[1;31m"; 0 for anything else.
func escape(b []byte) int {
	const longest = 16
	if len(b) < 3 || b[0] != 0x1b || b[1] != '[' {
		return 0
	}
	for i := 2; i < min(len(b), longest); i++ {
		if b[i] == 'm' {
			return i + 1
		}
		if !digit(b[i]) && b[i] != ';' {
			break
		}
	}
	return 0
}

// uncoloured is text without colours; text itself where it has none.
func uncoloured(text []byte) []byte {
	if bytes.IndexByte(text, 0x1b) < 0 {
		return text
	}
	var plain []byte
	for len(text) > 0 {
		if n := escape(text); n > 0 {
			text = text[n:]
			continue
		}
		plain, text = append(plain, text[0]), text[1:]
	}
	return plain
}

// stamp is the length of "[    1.234567]", "[    T1]", "[C0]", "[  +0.000123]", "[Jan 1 00:00]" or "[Thu Jan  1 00:00:01 2026]"; 0 for what
// is none. "[<ffffffff81000000>]" is an address, and "[#1]" counts oopses. Vendors add the CPU: "[    1.234567@0]", "[    1.234567,0]".
func stamp(b []byte) int {
	const longest = 40
	if len(b) == 0 || b[0] != '[' {
		return 0
	}
	end := bytes.IndexByte(b[:min(len(b), longest)], ']')
	if end < 0 {
		return 0
	}
	in := bytes.TrimLeft(b[1:end], " ")
	if len(in) == 0 || !bytes.ContainsAny(in, "0123456789") {
		return 0
	}
	for _, c := range in {
		if !digit(c) && !bytes.ContainsRune([]byte(".: +@,<>"), rune(c)) && !letter(c) {
			return 0
		}
	}
	switch {
	case digit(in[0]): // seconds
	case in[0] == '+' && len(in) > 1 && digit(in[1]): // since the line before
	case len(in) > 8 && letter(in[0]) && letter(in[2]) && !letter(in[3]) && in[len(in)-3] == ':' && digit(in[len(in)-1]): // a minute
	case (in[0] == 'T' || in[0] == 'C') && len(in) > 1 && digit(in[1]):
	case bytes.Count(in, []byte(":")) == 2: // a date
	default:
		return 0
	}
	return end + 1
}

// syslog is the length of a prefix that ends in " kernel: ".
func syslog(b []byte) int {
	const longest = 160 // a time, and a host's name of 64 bytes
	i := bytes.Index(b[:min(len(b), longest)], []byte(" kernel: "))
	if i < 0 || bytes.ContainsAny(b[:i], "+[<") && !digit(b[0]) {
		return 0
	}
	return i + len(" kernel: ")
}

// host is the length of "host kernel: ".
func host(b []byte) int {
	const longest = 80
	word, _, ok := bytes.Cut(b[:min(len(b), longest)], []byte(" kernel: "))
	if !ok || len(word) == 0 || bytes.ContainsAny(word, " \t:[+<") {
		return 0
	}
	return len(word) + len(" kernel: ")
}

// isoTime is the length of "2026-01-01T00:00:01,000000+00:00 ".
func isoTime(b []byte) int {
	const longest = 40
	end := bytes.IndexByte(b[:min(len(b), longest)], ' ')
	if end < len("2026-01-01T00:00:01") || b[4] != '-' || b[7] != '-' || b[10] != 'T' || b[13] != ':' {
		return 0
	}
	for _, c := range b[:end] {
		if !digit(c) && !bytes.ContainsRune([]byte("-:T,.+Z"), rune(c)) {
			return 0
		}
	}
	return end + 1
}

func letter(c byte) bool { return c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' }

// facility is the length of dmesg -x's "kern  :warn  : ".
func facility(b []byte) int {
	const longest = 20
	first := bytes.IndexByte(b[:min(len(b), longest)], ':')
	if first < 3 {
		return 0
	}
	second := bytes.Index(b[first+1:min(len(b), first+longest)], []byte(": "))
	if second < 3 {
		return 0
	}
	for _, word := range [2][]byte{b[:first], b[first+1:][:second]} {
		for _, c := range bytes.TrimRight(word, " ") {
			if c < 'a' || c > 'z' {
				return 0
			}
		}
	}
	n := first + 1 + second + 2
	if n >= len(b) || b[n] != '[' { // with a time only: a message may have colons of its own
		return 0
	}
	return n
}

// record is the length of "4,1234,1234567,-;".
func record(b []byte) int {
	const longest = 64
	end := bytes.IndexByte(b[:min(len(b), longest)], ';')
	if end < 0 || bytes.Count(b[:end], []byte(",")) < 3 || !digit(b[0]) {
		return 0
	}
	return end + 1
}
