package vmlinux

import (
	"os/exec"
	"path/filepath"
	"testing"

	"kcatch/internal/fixtures"
)

// stripped is a copy of a fixture's vmlinux without symbols, as arch/x86/boot makes it for the bzImage
// (OBJCOPYFLAGS_vmlinux.bin := -R .comment -S).
func stripped(t testing.TB, name string) *File {
	t.Helper()
	out := filepath.Join(t.TempDir(), "vmlinux.bin")
	if b, err := exec.Command(tool(t, "objcopy"), "-R", ".comment", "-S", fixtures.Find(t, name).Vmlinux, out).CombinedOutput(); err != nil {
		t.Fatalf("objcopy: %v\n%s", err, b)
	}
	f, err := Open(out)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

// TestOwnTable: a stripped kernel gives every address the function that the ELF symbols give it (binutils' objcopy took
// them away, so .symtab is the oracle), and the variables that an autopsy reads.
func TestOwnTable(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612, fixtures.Cloud61, fixtures.Cloud612} {
		t.Run(name, func(t *testing.T) {
			whole, bare := openFixture(t, name), stripped(t, name)
			if a, b := whole.SymbolSource(), bare.SymbolSource(); a != SymbolTable || b != OwnTable {
				t.Fatalf("symbols from %d and %d", a, b)
			}
			for _, v := range []string{"_text", "_etext", "_end", "linux_banner", "phys_base", "level2_kernel_pgt", "prb", "printk_rb_static",
				"__start___bug_table", "__stop___bug_table", "system_state", "idt_table", "initial_code"} {
				want, _ := whole.Symbol(v)
				if got, ok := bare.Symbol(v); !ok || got.Addr != want.Addr {
					t.Errorf("%s: got 0x%x, want 0x%x", v, uint64(got.Addr), uint64(want.Addr))
				}
			}
			addrs, wrong := sampleCode(whole, 20000), 0
			for _, a := range addrs {
				want, _ := whole.SymbolAt(a)
				got, ok := bare.SymbolAt(a)
				// Of several names at one address another may win.
				if got.Name == "int3_selftest_ip" || want.Name == "retbleed_untrain_ret" { // labels in the middle of code; the kernel's own traces say them, too
					continue
				}
				if (!ok || got.Addr != want.Addr) && want.Name != "" {
					if wrong++; wrong < 10 {
						t.Errorf("0x%x: got %+v, want %+v", uint64(a), got, want)
					}
				}
				if uint64(a-got.Addr) >= got.Size && got.Size != 0 {
					t.Errorf("0x%x is not in %+v", uint64(a), got)
				}
			}
		})
	}
}
