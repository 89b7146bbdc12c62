package kernels

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// trackedFiles are the paths in a git tree's index, or nil for a tree without one that can be read. The file is read here because a
// git command may take a lock, refresh the index or start a hook of a repository that is not ours.
//
// Format: Documentation/gitformat-index.txt, versions 2 to 4. A split index names only part of the files (the rest is in a shared file) and
// is treated as no index at all.
func trackedFiles(tree string) ([]string, error) {
	git := filepath.Join(tree, ".git")
	st, err := os.Stat(git)
	if err != nil {
		return nil, nil
	}
	if st.Mode().IsRegular() { // a worktree or a submodule: "gitdir: PATH"
		data, err := os.ReadFile(git)
		if err != nil {
			return nil, err
		}
		dir, ok := strings.CutPrefix(strings.TrimSpace(string(data)), "gitdir: ")
		if !ok {
			return nil, nil
		}
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(tree, dir)
		}
		git = dir
	}
	f, err := os.Open(filepath.Join(git, "index"))
	if err != nil {
		return nil, nil
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxIndex))
	if err != nil {
		return nil, err
	}
	return parseIndex(data)
}

const maxIndex = 256 << 20 // bytes; Linux's has 9 MB

var errIndex = errors.New("git index: not understood")

func parseIndex(data []byte) ([]string, error) {
	if len(data) < 12 || string(data[:4]) != "DIRC" {
		return nil, errIndex
	}
	version, count := binary.BigEndian.Uint32(data[4:]), binary.BigEndian.Uint32(data[8:])
	if version < 2 || version > 4 {
		return nil, errIndex
	}
	p := data[12:]
	names := make([]string, 0, min(int(count), len(data)/62))
	last := ""
	for range count {
		// 40 bytes of stat, 20 of SHA-1, 2 of flags; version 3 has 2 more when the extended bit is set. A SHA-256 repository
		// has 32 bytes of hash: its names come out as nonsense or not at all, and nonsense names no file.
		if len(p) < 63 {
			return nil, errIndex
		}
		flags := binary.BigEndian.Uint16(p[60:])
		head := 62
		if version >= 3 && flags&0x4000 != 0 {
			head += 2
		}
		p2 := p[min(head, len(p)):]
		keep := 0
		if version == 4 { // the name shares a prefix with the one before: varint of how many bytes to drop
			n, size := indexVarint(p2)
			if size == 0 || n > uint64(len(last)) {
				return nil, errIndex
			}
			keep, p2, head = len(last)-int(n), p2[size:], head+size
		}
		end := bytes.IndexByte(p2, 0)
		if end < 0 {
			return nil, errIndex
		}
		name := last[:keep] + string(p2[:end])
		size := head + end + 1
		if version < 4 {
			size = (head + end + 8) &^ 7
		}
		if size > len(p) {
			return nil, errIndex
		}
		p, last = p[size:], name
		names = append(names, name)
	}
	for len(p) >= 8 && len(p) > 20 {
		if string(p[:4]) == "link" {
			return nil, errIndex
		}
		n := uint64(binary.BigEndian.Uint32(p[4:]))
		if n > uint64(len(p)-8) {
			break
		}
		p = p[8+n:]
	}
	return names, nil
}

// indexVarint is git's offset encoding (varint.c): big-endian groups of 7 bits, one added for each continuation.
func indexVarint(p []byte) (v uint64, size int) {
	for size < len(p) && size < 9 {
		c := p[size]
		v = v<<7 | uint64(c&0x7f)
		size++
		if c&0x80 == 0 {
			return v, size
		}
		v++
	}
	return 0, 0
}
