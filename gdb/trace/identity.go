package trace

import "bytes"

// Identity is whose text it is: what a line says of the kernel that printed it. All of it is hostile; Release has no slash and
// does not begin with a dot, so that it can be a part of a file's name.
type Identity struct {
	Release string // "6.1.0-56-cloud-amd64"
	// Version is which build of that release it is in its tree, "#13"; the rest of the version, a date as a rule, is not in all lines.
	Version string
	BuildID string // of the vmlinux, in hex, with CONFIG_STACKTRACE_BUILD_ID
}

// Said is what a line says beside places.
type Said struct {
	Identity
	// Boot: the line is a kernel's first, and what was known before is of another boot.
	Boot bool
	// Slide is how far KASLR moved the kernel, in bytes, where Slid.
	Slide uint64
	Slid  bool
}

var (
	banner     = []byte("Linux version ")
	comm       = []byte(" Comm: ")
	offsetLine = []byte("Kernel Offset: ")
)

// Read reads what one line says of its kernel:
//
//	Linux version 6.1.192 (root@host) (gcc ...) #1 SMP ...
//	CPU: 0 PID: 1 Comm: swapper/0 Not tainted 6.1.192 #1
//	CPU: 0 PID: 1 Comm: swapper/0 Tainted: G        W          6.1.192 #1 0123456789abcdef0123456789abcdef01234567
//	Kernel Offset: 0x1a000000 from 0xffffffff81000000 (relocation range: ...)
//	Kernel Offset: disabled
//
// ok is false where it says nothing, and for lines of more than 64 KiB.
func Read(line []byte) (said Said, ok bool) {
	if len(line) > maxLine {
		return Said{}, false
	}
	if i := bytes.Index(line, offsetLine); i >= 0 {
		return offset(line[i+len(offsetLine):])
	}
	if i := bytes.Index(line, comm); i >= 0 {
		said.Identity, ok = task(line[i+len(comm):])
		return said, ok
	}
	if i := bytes.Index(line, banner); i >= 0 && i == message(line) {
		word, _, _ := bytes.Cut(line[i+len(banner):], []byte(" "))
		if isRelease(word) {
			return Said{Identity: Identity{Release: string(word), Version: version(line[i:])}, Boot: true}, true
		}
	}
	return Said{}, false
}

// offset reads dump_kernel_offset(), arch/x86/kernel/setup.c.
func offset(rest []byte) (Said, bool) {
	if bytes.HasPrefix(rest, []byte("disabled")) {
		return Said{Slid: true}, true
	}
	rest, found := bytes.CutPrefix(rest, []byte("0x"))
	v, end, ok := hex(rest, 0)
	if !found || !ok || !bytes.HasPrefix(rest[end:], []byte(" from 0x")) || !ValidSlide(v) {
		return Said{}, false
	}
	return Said{Slide: v, Slid: true}, true
}

// ValidSlide reports whether KASLR may have moved a kernel by v bytes. It is a multiple of CONFIG_PHYSICAL_ALIGN, 2 MiB at least, within 1 GiB (KERNEL_IMAGE_SIZE).
func ValidSlide(v uint64) bool { return v < 1<<30 && v%(2<<20) == 0 }

// task reads what follows "Comm: " (dump_stack_print_info(), lib/dump_stack.c): the release is the word before the version's "#1".
// A task may call itself anything, so it is the last such word that counts.
func task(rest []byte) (Identity, bool) {
	i := bytes.LastIndex(rest, []byte(" #"))
	for i >= 0 && (i+2 >= len(rest) || !digit(rest[i+2])) {
		i = bytes.LastIndex(rest[:i], []byte(" #"))
	}
	if i < 0 {
		return Identity{}, false
	}
	word := rest[bytes.LastIndexByte(rest[:i], ' ')+1 : i]
	if !isRelease(word) {
		return Identity{}, false
	}
	id := Identity{Release: string(word), Version: number(rest[i+1:])}
	if fields := bytes.Fields(rest[i:]); len(fields) > 1 && isBuildID(fields[1]) {
		id.BuildID = string(fields[1])
	}
	return id, true
}

// version is the "#13" of a banner: what stands behind the compiler and the linker.
func version(banner []byte) string {
	i := bytes.LastIndex(banner, []byte(") #"))
	if i < 0 {
		return ""
	}
	return number(banner[i+2:])
}

// number reads "#13", of at most nine digits.
func number(b []byte) string {
	n := 1
	for n < len(b) && n < 10 && digit(b[n]) {
		n++
	}
	if n == 1 || n < len(b) && digit(b[n]) {
		return ""
	}
	return string(b[:n])
}

// isRelease: "6.1.0-56-cloud-amd64". A release has at most 64 bytes (__NEW_UTS_LEN).
func isRelease(b []byte) bool {
	if len(b) < 3 || len(b) > 64 || !digit(b[0]) || !bytes.Contains(b, []byte(".")) || bytes.Contains(b, []byte("..")) {
		return false
	}
	for _, c := range b {
		if !symbolByte(c) && c != '-' && c != '+' && c != '~' {
			return false
		}
	}
	return true
}

// isBuildID: a SHA-1 as ld makes it, or the 16 bytes of an MD5 or UUID.
func isBuildID(b []byte) bool {
	if len(b) != 40 && len(b) != 32 {
		return false
	}
	for _, c := range b {
		if !digit(c) && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
