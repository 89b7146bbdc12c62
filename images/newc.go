package images

import (
	"bytes"
	"fmt"
	"math"
)

// The file types of st_mode (POSIX <sys/stat.h>), as far as an initramfs of ours has them.
const (
	modeDir     = 0o040000
	modeChar    = 0o020000
	modeRegular = 0o100000
	modeSymlink = 0o120000
)

// node is one member of the archive.
type node struct {
	name         string // without a leading slash
	mode         uint32 // type and permission bits
	major, minor uint32 // of a device
	data         []byte // of a regular file; the target of a symlink
}

// appendNewc appends n to an archive in the "newc" format:
//
//	magic "070701", then 13 fields of 8 hex digits:
//	ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
//	name NUL, padded to 4 bytes; data, padded to 4 bytes
//
// Owner and time are zero. The padding counts from the archive's start, whose length stays a multiple of 4.
// (The cpio module in go.mod cannot set rdevmajor and rdevminor, so device nodes need this writer.)
func appendNewc(b []byte, ino uint32, n node) []byte {
	nlink := 1
	if n.mode&modeDir != 0 && n.mode&modeRegular == 0 {
		nlink = 2
	}
	b = fmt.Appendf(b, "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		ino, n.mode, 0, 0, nlink, 0, len(n.data), 0, 0, n.major, n.minor, len(n.name)+1, 0)
	b = append(b, n.name...)
	b = pad4(append(b, 0))
	return pad4(append(b, n.data...))
}

func pad4(b []byte) []byte {
	for len(b)%4 != 0 {
		b = append(b, 0)
	}
	return b
}

// newc writes the archive of nodes in the order given. The kernel makes directories and device nodes as it reads, so a
// directory must stand before what is in it.
func newc(nodes []node) ([]byte, error) {
	size := 512
	for _, n := range nodes {
		if len(n.data) > math.MaxUint32 {
			return nil, fmt.Errorf("initramfs: %s: larger than 4 GiB", n.name)
		}
		size += 110 + len(n.name) + len(n.data) + 8
	}
	b := make([]byte, 0, size)
	for i, n := range nodes {
		b = appendNewc(b, uint32(i+1), n)
	}
	b = appendNewc(b, 0, node{name: "TRAILER!!!"})
	// The kernel accepts any length; whole blocks let another archive be appended.
	if rest := len(b) % 512; rest != 0 {
		b = append(b, bytes.Repeat([]byte{0}, 512-rest)...)
	}
	return b, nil
}
