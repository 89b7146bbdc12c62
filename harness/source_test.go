package harness

import (
	"errors"
	"os"
	"sync"
	"testing"
)

// TestSourceOfAForeignVmlinux: the chain of an early exception is rehearsed while the boot goes on and asks for source, too. The race
// detector is what tells.
func TestSourceOfAForeignVmlinux(t *testing.T) {
	b := &boot{plan: Plan{Vmlinux: t.TempDir() + "/vmlinux"}}
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for range 100 {
				if _, err := b.source("mm/mm_init.c"); !errors.Is(err, os.ErrNotExist) {
					t.Errorf("source: %v", err)
				}
				b.patched("mm/mm_init.c", "x")
			}
		})
	}
	wg.Wait()
}
