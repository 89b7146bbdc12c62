package kernel

import (
	"testing"

	"kcatch/internal/fixtures"
)

// TestCallSite: by gdb's disassembly of seed-6.1, do_early_exception+19 is "jmp early_fixup_exception"; the place moves
// with the compiler, so the test asks what the file itself says of it.
func TestCallSite(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			k, err := Open(fixtures.Find(t, name).Vmlinux)
			if err != nil {
				t.Fatal(err)
			}
			defer k.Close()
			at, ok := k.CallSite("do_early_exception", "early_fixup_exception")
			if !ok {
				t.Fatal("no call of early_fixup_exception in do_early_exception")
			}
			if s, _ := k.SymbolAt(at); s.Name != "do_early_exception" {
				t.Errorf("0x%x is in %s", uint64(at), s.Name)
			}
			if op, err := k.Bytes(at, 1); err != nil || op[0] != 0xe8 && op[0] != 0xe9 {
				t.Errorf("0x%x: % x, %v: no call", uint64(at), op, err)
			}
			for _, none := range [][2]string{{"", "panic"}, {"no_such_function", "panic"}, {"panic", "no_such_function"}, {"do_early_exception", "kthread"}} {
				if at, ok := k.CallSite(none[0], none[1]); ok {
					t.Errorf("CallSite(%q, %q) = 0x%x, want none", none[0], none[1], uint64(at))
				}
			}
		})
	}
}
