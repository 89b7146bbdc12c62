package trace

import "bytes"

// message returns where the kernel's own words begin in a line, behind all that printk, dmesg, syslog or a journal put
// before them:
//
//	<4>[    1.234567] text                                  /dev/console with a level
//	[    1.234567][    T1] text                             CONFIG_PRINTK_CALLER; C0 for a CPU
//	kern  :warn  : [    1.234567] text                      dmesg -x
//	[Thu Jan  1 00:00:01 2026] text                         dmesg -T
//	Jan  1 00:00:01 host kernel: [    1.234567] text        syslog, journalctl
//	2026-01-01T00:00:01.000000+00:00 host kernel: text      syslog, journalctl -o short-iso
//	4,1234,1234567,-;text                                   netconsole, /dev/kmsg
//
// Blanks that indent the message belong to it: at most one is the prefix's.
func message(line []byte) int {
	i := 0
	for i < len(line) && line[i] == '\r' {
		i++
	}
	if n := syslog(line[i:]); n > 0 {
		i += n
	} else if n := facility(line[i:]); n > 0 {
		i += n
	} else if n := record(line[i:]); n > 0 {
		i += n
	}
	if i+2 < len(line) && line[i] == '<' {
		if end := bytes.IndexByte(line[i:min(len(line), i+6)], '>'); end > 1 && digit(line[i+1]) {
			i += end + 1
		}
	}
	stamped := false
	for i < len(line) && line[i] == '[' {
		n := stamp(line[i:])
		if n == 0 {
			break
		}
		i, stamped = i+n, true
	}
	if stamped && i < len(line) && line[i] == ' ' {
		i++
	}
	return i
}

// stamp is the length of "[    1.234567]", "[    T1]", "[C0]" or "[Thu Jan  1 00:00:01 2026]"; 0 for what is none. "[<ffffffff81000000>]" is
// an address, and "[#1]" counts oopses.
func stamp(b []byte) int {
	const longest = 40
	end := bytes.IndexByte(b[:min(len(b), longest)], ']')
	if end < 0 {
		return 0
	}
	in := bytes.TrimLeft(b[1:end], " ")
	if len(in) == 0 || !bytes.ContainsAny(in, "0123456789") {
		return 0
	}
	for _, c := range in {
		if !digit(c) && c != '.' && c != ':' && c != ' ' && !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return 0
		}
	}
	switch {
	case digit(in[0]): // seconds
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
