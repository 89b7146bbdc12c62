package harness

import (
	"fmt"
	"os"
	"sync"
	"syscall"

	"kcatch/gdb/kernel"
)

// Shelf keeps the files of kernels open for the boots of a loop, side by side or one after the other. Opening a vmlinux and reading
// what every autopsy needs of it costs each boot 15 ms of a processor otherwise, which boots beside it want. The zero value is empty.
type Shelf struct {
	mu   sync.Mutex
	open map[string]func() (*kernel.Kernel, error)
}

// kernel opens a vmlinux, once for as long as the file stays the same. It is the shelf's to close.
func (s *Shelf) kernel(path string) (*kernel.Kernel, error) {
	key := path
	if st, err := os.Stat(path); err == nil { // else opening it says why
		sys, _ := st.Sys().(*syscall.Stat_t)
		key = fmt.Sprintf("%s %d %d %d", path, st.Size(), st.ModTime().UnixNano(), sys.Ino)
	}
	s.mu.Lock()
	open, ok := s.open[key]
	if !ok {
		open = sync.OnceValues(func() (*kernel.Kernel, error) {
			k, err := kernel.Open(path)
			if err == nil {
				k.Warm()
			}
			return k, err
		})
		if s.open == nil {
			s.open = map[string]func() (*kernel.Kernel, error){}
		}
		s.open[key] = open
	}
	s.mu.Unlock()
	return open()
}

// Close closes the files. No boot whose plan names the shelf may be under way.
func (s *Shelf) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, open := range s.open {
		if k, err := open(); err == nil {
			_ = k.Close() // it was only read
		}
	}
	s.open = nil
}

// openKernel opens the plan's vmlinux, or takes it from the shelf. A kernel keeps the module files of the one guest that it was opened
// for, so that boots with modules have one of their own.
func (b *boot) openKernel() (*kernel.Kernel, error) {
	b.shelved = b.plan.Shelf != nil && b.plan.Modules == "" && (b.plan.Initrd == "" || b.plan.Initrd == "none")
	if b.shelved {
		return b.plan.Shelf.kernel(b.plan.Vmlinux)
	}
	return kernel.Open(b.plan.Vmlinux)
}

// closeKernel waits for what reads ahead in the kernel's file, and closes it unless others use it.
func (b *boot) closeKernel() {
	b.ahead.Wait()
	if b.kernel != nil && !b.shelved {
		_ = b.kernel.Close()
	}
}
