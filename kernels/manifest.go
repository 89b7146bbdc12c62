package kernels

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"io"
	"os"
	"path/filepath"
	"sort"
)

// A sum is a SHA-256.
type sum [sha256.Size]byte

// What a path of a tree is.
const (
	kindFile byte = 'f'
	kindExec byte = 'x' // a file with the owner's x bit
	kindLink byte = 'l' // a symbolic link; its sum is that of its target's text
	kindGone byte = '-' // not there; only in overlays
)

// A stamp is what a file's stat says when its content is the same: size, times, inode. The zero stamp matches nothing.
type stamp struct {
	Size, Mtime, Ctime int64 // bytes, ns, ns
	Ino                uint64
}

// An entry is one file of a tree.
type entry struct {
	Path  string // relative, slashes
	Kind  byte
	Sum   sum
	Stamp stamp
}

// A manifest is the files of a tree. In a slot it says what the private source holds; a zero Sum there is a file that was being written.
type manifest map[string]entry

// identity is one hash over paths, kinds and contents, not over stamps.
func (m manifest) identity() sum {
	paths := make([]string, 0, len(m))
	for p := range m {
		paths = append(paths, p)
	}
	sort.Strings(paths)
	h := sha256.New()
	w := bufio.NewWriterSize(h, 1<<16)
	for _, p := range paths {
		e := m[p]
		w.WriteString(p)
		w.WriteByte(0)
		w.WriteByte(e.Kind)
		w.Write(e.Sum[:])
	}
	w.Flush()
	return sum(h.Sum(nil))
}

// The file: magic, then per entry kind, sum, four fixed 64-bit words of the stamp, the path's length (uvarint) and the path; then a zero byte
// and the number of entries, so that a cut file is known.
const manifestMagic = "kcatch manifest 1\n"

func writeManifest(name string, m manifest) error {
	return writeAtomically(name, func(w io.Writer) error {
		b := bufio.NewWriterSize(w, 1<<18)
		b.WriteString(manifestMagic)
		var buf [binary.MaxVarintLen64]byte
		word := func(v uint64) {
			binary.LittleEndian.PutUint64(buf[:8], v)
			b.Write(buf[:8])
		}
		for _, e := range m {
			b.WriteByte(e.Kind)
			b.Write(e.Sum[:])
			word(uint64(e.Stamp.Size))
			word(uint64(e.Stamp.Mtime))
			word(uint64(e.Stamp.Ctime))
			word(e.Stamp.Ino)
			b.Write(buf[:binary.PutUvarint(buf[:], uint64(len(e.Path)))])
			b.WriteString(e.Path)
		}
		b.WriteByte(0)
		word(uint64(len(m)))
		return b.Flush()
	})
}

var errManifest = errors.New("manifest is damaged")

func readManifest(name string) (manifest, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	return parseManifest(data)
}

func parseManifest(data []byte) (manifest, error) {
	p, ok := bytes.CutPrefix(data, []byte(manifestMagic))
	if !ok {
		return nil, errManifest
	}
	m := make(manifest, len(p)/110)
	text := string(p) // one copy that all paths share
	for {
		off := len(text) - len(p)
		if len(p) == 9 && p[0] == 0 && binary.LittleEndian.Uint64(p[1:]) == uint64(len(m)) {
			return m, nil
		}
		const fixed = 1 + len(sum{}) + 32
		if len(p) < fixed+1 {
			return nil, errManifest
		}
		e := entry{Kind: p[0]}
		copy(e.Sum[:], p[1:])
		s := p[1+len(e.Sum):]
		e.Stamp = stamp{
			Size:  int64(binary.LittleEndian.Uint64(s)),
			Mtime: int64(binary.LittleEndian.Uint64(s[8:])),
			Ctime: int64(binary.LittleEndian.Uint64(s[16:])),
			Ino:   binary.LittleEndian.Uint64(s[24:]),
		}
		n, size := binary.Uvarint(p[fixed:])
		if size <= 0 || n > uint64(len(p)-fixed-size) {
			return nil, errManifest
		}
		start := off + fixed + size
		e.Path = text[start : start+int(n)]
		if !localName(e.Path) {
			return nil, errManifest
		}
		m[e.Path] = e
		p = p[fixed+size+int(n):]
	}
}

// writeAtomically writes a file beside name and renames it into place, so that a reader sees the old one, the new one or none.
func writeAtomically(name string, fill func(io.Writer) error) error {
	f, err := os.CreateTemp(filepath.Dir(name), ".tmp-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	err = fill(f)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Chmod(f.Name(), 0o644)
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	return err
}
