package guest

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"sync"

	"golang.org/x/sys/unix"
)

// Physical reads guest-physical memory. n < len(p) only with an error.
type Physical interface {
	ReadPhysical(p []byte, gpa uint64) (n int, err error)
}

// RAM is a guest's memory as a file, mapped read-only. It may be used by several goroutines; Close waits for reads.
type RAM struct {
	layout Layout
	path   string

	mu   sync.RWMutex
	data []byte // nil once closed
}

// OpenRAM maps the RAM file at path. The file must be as large as the layout says: QEMU sizes it before it runs the
// first instruction, so a shorter one is not ready or belongs to another machine.
func OpenRAM(path string, layout Layout) (*RAM, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("open guest RAM: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, fmt.Errorf("open guest RAM: %w", err)
	}
	size := layout.Size()
	if size == 0 || uint64(info.Size()) < size {
		return nil, fmt.Errorf("open guest RAM: %s: file has 0x%x bytes, the machine has 0x%x", path, info.Size(), size)
	}
	if size > 1<<46 {
		return nil, fmt.Errorf("open guest RAM: %s: 0x%x bytes are too many to map", path, size)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(size), unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("map guest RAM: %s: %w", path, err)
	}
	return &RAM{layout: layout, path: path, data: data}, nil
}

// Layout is where the RAM lies in guest-physical memory.
func (r *RAM) Layout() Layout { return r.layout }

// Close unmaps the memory. Reads after it fail.
func (r *RAM) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.data == nil {
		return nil
	}
	data := r.data
	r.data = nil
	return unix.Munmap(data)
}

// ReadPhysical fills p from guest-physical address gpa. A read may cross the gap below 4 GiB only by failing: n is
// then the number of bytes before the first one that is no RAM, and the error is a [*FaultError] with that address.
func (r *RAM) ReadPhysical(p []byte, gpa uint64) (int, error) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	if r.data == nil {
		return 0, fmt.Errorf("read guest RAM: %s: closed", r.path)
	}
	off, have := r.layout.Offset(gpa)
	n := len(p)
	if uint64(n) > have {
		n = int(have)
	}
	if err := guardedCopy(p[:n], r.data[off:off+uint64(n)]); err != nil {
		return 0, fmt.Errorf("read guest RAM: %s: 0x%x: %w", r.path, gpa, err)
	}
	if n < len(p) {
		return n, &FaultError{Addr: gpa + uint64(n), Level: 0, Reason: NoRAM}
	}
	return n, nil
}

// guardedCopy copies from a shared mapping whose file may have been cut short since: touching a page past the end of
// the file raises SIGBUS, which would end the process and leave QEMU behind.
func guardedCopy(dst, src []byte) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			fault, ok := p.(interface {
				runtime.Error
				Addr() uintptr
			})
			if !ok {
				panic(p)
			}
			err = fmt.Errorf("file was truncated: %v", fault)
		}
	}()
	copy(dst, src)
	return nil
}
