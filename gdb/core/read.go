package core

import (
	"bytes"
	"debug/elf"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"kcatch/gdb/amd64"
	"kcatch/internal/blame"
)

// File is an open core: memory by guest-physical address, as guest.Searchable wants it, and what its notes say. It is safe
// for concurrent use.
type File struct {
	memory
	CPUs []CPU
	// Info is the text of VMCOREINFO, empty when there is none: a QEMU without -device vmcoreinfo has not seen the kernel's.
	Info []byte
	// State is what [Machine.State] was, nil in others' cores.
	State []byte

	closer io.Closer
	path   string
	size   int64
}

// CPU is a vCPU, or of kdump a CPU, as the core has it. In kdump's they are those that were up, in their order.
type CPU struct {
	amd64.Registers
	// Control says that the control registers and EFER are known. Only QEMU says them; they are zero otherwise.
	Control  bool
	IDTBase  uint64 // of QEMU's note, as the limit
	IDTLimit uint32
}

// Bounds of what is read of a file that anybody may have written.
const (
	maxNotes    = 32 << 20 // bytes
	maxSegments = 1 << 20
	maxCPUs     = 4096
)

// Open opens the core at path. A file that is none, that is cut off, or of another kind than ELF x86-64 is a usage error of
// one line that says what it is.
func Open(path string) (*File, error) {
	file, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a named pipe that nobody writes to is refused, not waited for
	if err != nil {
		cause := err
		if pe := (*fs.PathError)(nil); errors.As(err, &pe) {
			cause = pe.Err
		}
		return nil, &blame.Error{Kind: blame.Usage, Msg: fmt.Sprintf("open core: %s: %v", path, cause), Err: err}
	}
	c := &File{memory: memory{file: file}, closer: file, path: path}
	st, err := file.Stat()
	switch {
	case err != nil:
		err = &blame.Error{Kind: blame.Infrastructure, Msg: "open core: " + err.Error(), Err: err}
	case st.IsDir():
		err = c.refuse("a directory", "give the file in it that is the core: kcatch's own is called vmcore")
	case !st.Mode().IsRegular():
		err = c.refuse("not a regular file", "copy /proc/vmcore to a file first")
	default:
		c.size = st.Size()
		err = c.parse()
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return c, nil
}

// Close closes the file. Reads after it fail.
func (c *File) Close() error { return c.closer.Close() }

// Path is the name that it was opened by.
func (c *File) Path() string { return c.path }

// Size is the file's length in bytes.
func (c *File) Size() int64 { return c.size }

func (c *File) refuse(what, hint string) error { return blame.New(blame.Usage, c.path+": "+what, hint) }

// truncated refuses a file that ends before something that it promises.
func (c *File) truncated(what string, need uint64) error {
	return c.refuse(fmt.Sprintf("truncated core: it has %d bytes, and %d with %s", c.size, need, what), "copy it again, whole; a disk that was full cuts one off, too")
}

// parse reads what the file says of itself; nothing of the memory.
func (c *File) parse() error {
	head, err := c.header()
	if err != nil {
		return err
	}
	progs, err := c.programs(head)
	if err != nil {
		return err
	}
	var loads []elf.Prog64
	var notes []byte
	for _, p := range progs {
		switch elf.ProgType(p.Type) {
		case elf.PT_NOTE:
			if p.Filesz > maxNotes-uint64(len(notes)) {
				return c.refuse("its notes are too large for a core", "")
			}
			if p.Off > uint64(c.size) || p.Filesz > uint64(c.size)-p.Off {
				return c.truncated("its notes", p.Off+p.Filesz)
			}
			b := make([]byte, p.Filesz)
			if err := c.read(b, p.Off); err != nil {
				return err
			}
			notes = append(notes, b...)
		case elf.PT_LOAD:
			if p.Filesz > p.Memsz || p.Paddr >= maxPhysical || p.Memsz > maxPhysical-p.Paddr {
				continue // device memory that QEMU's walk of the page tables met; nothing of it is in the file
			}
			if p.Filesz > 0 && (p.Off > uint64(c.size) || p.Filesz > uint64(c.size)-p.Off) {
				return c.truncated("its memory", p.Off+p.Filesz)
			}
			if p.Filesz == 0 && p.Off == ^uint64(0) {
				continue // QEMU's mark for what is no RAM (dump.c, get_offset_range)
			}
			loads = append(loads, p)
		}
	}
	c.memory = newMemory(c.file, loads)
	if len(c.data) == 0 {
		return c.refuse("a core without memory", "")
	}
	return c.readNotes(notes)
}

// read fills b from an offset that is in the file.
func (c *File) read(b []byte, off uint64) error {
	if n, err := c.file.ReadAt(b, int64(off)); n < len(b) {
		return &blame.Error{Kind: blame.Infrastructure, Msg: "read core: " + err.Error(), Err: err}
	}
	return nil
}

// Other files that people give: the signature, what it is, and what to do.
//
//	KDUMP   DISKDUMP     makedumpfile without -E, and QEMU's kdump-zlib, -lzo, -snappy; diskdump_mod.h
//	makedumpfile         makedumpfile -F, for a pipe, and QEMU's dump-guest-memory -z; makedumpfile.h, MAKEDUMPFILE_SIGNATURE
var foreign = []struct{ signature, what, hint string }{
	{"KDUMP   ", "a kdump-compressed dump, not an ELF core", compressedHint},
	{"DISKDUMP", "a diskdump dump, not an ELF core", compressedHint},
	{"makedumpfile", "makedumpfile's flattened format, not an ELF core", "makedumpfile -R NEW < it makes a file of it, which is ELF if -E was given, too; QEMU's dump-guest-memory writes ELF without -z"},
}

// compressedHint says what is left to do: makedumpfile 1.7.2 makes no ELF of a compressed one ("'-E' option is disable").
const compressedHint = "no tool makes ELF of it: crash and drgn read it, makedumpfile --dump-dmesg gives its log; makedumpfile -E writes the next one as ELF"

func (c *File) header() (h elf.Header64, err error) {
	b := make([]byte, headSize)
	n, _ := c.file.ReadAt(b, 0) // a short file has no signature either
	b = b[:n]
	for _, f := range foreign {
		if bytes.HasPrefix(b, []byte(f.signature)) {
			return h, c.refuse(f.what, f.hint)
		}
	}
	coreHint := "a core is what kcatch keeps as vmcore, QEMU's dump-guest-memory or kdump's ELF"
	switch {
	case n == 0:
		return h, c.refuse("is empty", coreHint)
	case !bytes.HasPrefix(b, []byte(elf.ELFMAG)):
		return h, c.refuse("not a core: no ELF file", coreHint)
	case n < headSize:
		return h, c.truncated("its header", headSize)
	}
	if b[elf.EI_CLASS] != byte(elf.ELFCLASS64) {
		return h, c.refuse("an ELF file of 32 bits: a core of a vCPU that was not in 64-bit mode has no kernel to show", "")
	}
	if b[elf.EI_DATA] != byte(elf.ELFDATA2LSB) {
		return h, c.refuse("a big-endian ELF file: not of x86-64", "")
	}
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, &h); err != nil {
		return h, fmt.Errorf("core: %w", err) // not reached: the bytes are there
	}
	switch {
	case elf.Type(h.Type) != elf.ET_CORE:
		return h, c.refuse("an ELF file, but not a core", coreHint)
	case elf.Machine(h.Machine) != elf.EM_X86_64:
		return h, c.refuse("a core of another architecture ("+elf.Machine(h.Machine).String()+")", "")
	case h.Phentsize != progSize:
		return h, c.refuse(fmt.Sprintf("broken ELF header: program headers of %d bytes", h.Phentsize), "")
	}
	return h, nil
}

// manySegments is the count that says that the real one stands in sh_info of section 0 (gabi, PN_XNUM); QEMU's cores with
// paging have so many.
const manySegments = 0xffff

func (c *File) programs(h elf.Header64) ([]elf.Prog64, error) {
	count := uint64(h.Phnum)
	if count == manySegments && h.Shoff != 0 {
		var b [64]byte // Elf64_Shdr, sh_info at 44
		if _, err := c.file.ReadAt(b[:], int64(h.Shoff&(1<<62-1))); err != nil {
			return nil, c.truncated("its first section header", h.Shoff+64)
		}
		count = uint64(binary.LittleEndian.Uint32(b[44:]))
	}
	if count > maxSegments {
		return nil, c.refuse(fmt.Sprintf("%d segments are too many for a core", count), "")
	}
	if h.Phoff > uint64(c.size) || count*progSize > uint64(c.size)-h.Phoff {
		return nil, c.truncated("its segments' headers", h.Phoff+count*progSize)
	}
	b := make([]byte, count*progSize)
	if err := c.read(b, h.Phoff); err != nil {
		return nil, err
	}
	progs := make([]elf.Prog64, count)
	if err := binary.Read(bytes.NewReader(b), binary.LittleEndian, progs); err != nil {
		return nil, fmt.Errorf("core: %w", err) // not reached: the bytes are there
	}
	return progs, nil
}
