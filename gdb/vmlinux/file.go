package vmlinux

import (
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"

	"kcatch/internal/blame"
)

// Addr is a link-time address, as the file's symbols have it. Run-time addresses are plain uint64 everywhere else, so
// that the KASLR slide between the two cannot be forgotten: Addr(pc - slide).
type Addr uint64

// File is an open vmlinux. Make one with [Open].
type File struct {
	path string
	data []byte // the whole file
	heap bool   // data is not a mapping of ours: see Parse
	elf  *elf.File

	sections map[string]*section // by name; the first of a name wins
	names    nameCache
	own      struct { // the kernel's own symbol table
		once  sync.Once
		table symtab
	}

	debug struct {
		once   sync.Once
		tables *debugTables
		err    error
	}

	mu      sync.Mutex // guards what follows: everything that is built on demand
	symbols symbolIndex
	units   unitIndex
	frames  frameIndex
	source  sourceTree
	types   typeIndex
	orc     struct {
		done  bool
		table *ORC
		err   error
	}
}

// Open maps the vmlinux at path. What cannot be one is a [blame.Usage] error of one line: a missing or empty file, a
// bzImage, another format, another machine, a relocatable object, a truncated file.
// Debug information is not required; see [File.HasDWARF].
func Open(path string) (*File, error) {
	data, err := mapFile(path)
	if err != nil {
		return nil, err
	}
	f, err := newFile(path, data)
	if err != nil {
		return nil, errors.Join(err, unix.Munmap(data))
	}
	return f, nil
}

// Parse is [Open] for a file that is in memory already: the unpacked payload of a bzImage. path names it in errors. data
// belongs to the File from then on.
func Parse(path string, data []byte) (*File, error) {
	f, err := newFile(path, data)
	if err != nil {
		return nil, err
	}
	f.heap = true
	return f, nil
}

func mapFile(path string) ([]byte, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe that nobody writes to is refused, not waited for
	if err != nil {
		var pe *fs.PathError
		cause := err
		if errors.As(err, &pe) {
			cause = pe.Err
		}
		return nil, &blame.Error{Kind: blame.Usage, Msg: fmt.Sprintf("open vmlinux: %s: %v", path, cause), Err: err}
	}
	defer file.Close()
	st, err := file.Stat()
	if err != nil {
		return nil, &blame.Error{Kind: blame.Infrastructure, Msg: fmt.Sprintf("open vmlinux: %v", err), Err: err}
	}
	switch {
	case st.IsDir():
		return nil, refuse(path, "is a directory", "")
	case !st.Mode().IsRegular():
		return nil, refuse(path, "not a regular file", "")
	case st.Size() == 0:
		return nil, refuse(path, "is empty", "")
	}
	data, err := unix.Mmap(int(file.Fd()), 0, int(st.Size()), unix.PROT_READ, unix.MAP_PRIVATE)
	if err != nil {
		return nil, &blame.Error{Kind: blame.Infrastructure, Msg: fmt.Sprintf("map vmlinux: %s: %v", path, err), Err: err}
	}
	return data, nil
}

func refuse(path, cause, hint string) error {
	return blame.New(blame.Usage, path+": "+cause, hint)
}

// newFile reads the headers of a file's bytes.
func newFile(path string, data []byte) (*File, error) {
	if !bytes.HasPrefix(data, []byte(elf.ELFMAG)) {
		return nil, refuse(path, notELF(data), "vmlinux stands at the top of the build tree, or in the -dbg package")
	}
	ef, err := elf.NewFile(bytes.NewReader(data))
	if err != nil {
		return nil, &blame.Error{Kind: blame.Usage, Msg: fmt.Sprintf("%s: broken or truncated ELF file: %v", path, err), Err: err,
			Hint: "copy it again, or link the kernel again"}
	}
	if ef.Class != elf.ELFCLASS64 || ef.Data != elf.ELFDATA2LSB || ef.Machine != elf.EM_X86_64 {
		return nil, refuse(path, fmt.Sprintf("not an x86-64 ELF file (it is %s %s)", ef.Class, ef.Machine), "")
	}
	if ef.Type != elf.ET_EXEC && ef.Type != elf.ET_DYN {
		return nil, refuse(path, fmt.Sprintf("not a linked kernel (ELF type %s)", ef.Type), "give the vmlinux, not an object or a module")
	}
	f := &File{path: path, data: data, elf: ef, sections: make(map[string]*section, len(ef.Sections))}
	for _, s := range ef.Sections {
		if s.Type != elf.SHT_NOBITS && s.Type != elf.SHT_NULL &&
			(s.Offset > uint64(len(data)) || s.FileSize > uint64(len(data))-s.Offset) {
			return nil, refuse(path, fmt.Sprintf("truncated: section %s ends past the end of the file", s.Name), "")
		}
		if _, ok := f.sections[s.Name]; !ok {
			f.sections[s.Name] = &section{elf: s, file: data}
		}
	}
	return f, nil
}

// notELF names what a file is instead, where its first bytes tell.
func notELF(data []byte) string {
	has := func(off int, magic string) bool {
		return len(data) >= off+len(magic) && string(data[off:off+len(magic)]) == magic
	}
	switch {
	case has(0x1fe, "\x55\xaa") && has(0x202, "HdrS"): // Documentation/arch/x86/boot.rst
		return "is a bzImage; give the ELF vmlinux"
	case has(0, "\x1f\x8b"), has(0, "\xfd7zXZ"), has(0, "\x28\xb5\x2f\xfd"), has(0, "BZh"):
		return "not an ELF file (it is compressed; unpack it first)"
	}
	return "not an ELF file"
}

// Close unmaps the file. Bytes that methods have returned are gone with it.
func (f *File) Close() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	data := f.data
	f.data = nil
	if data == nil || f.heap {
		return nil
	}
	if err := unix.Munmap(data); err != nil {
		return fmt.Errorf("unmap vmlinux: %s: %w", f.path, err)
	}
	return nil
}

// Path is the path that was given to [Open] or [Parse].
func (f *File) Path() string { return f.path }
