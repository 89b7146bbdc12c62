package harness

import (
	"debug/elf"
	"os"
	"path/filepath"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// overwritten is a copy of a vmlinux with other code at the start of a function.
func overwritten(t *testing.T, vmlinux, function string, code []byte) string {
	t.Helper()
	f, err := elf.Open(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	symbols, err := f.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	at := int64(-1)
	for _, s := range symbols {
		for _, p := range f.Progs {
			if s.Name == function && p.Type == elf.PT_LOAD && s.Value >= p.Vaddr && s.Value-p.Vaddr < p.Filesz {
				at = int64(p.Off + s.Value - p.Vaddr)
			}
		}
	}
	if at < 0 {
		t.Fatalf("%s has no code for %s", vmlinux, function)
	}
	b, err := os.ReadFile(vmlinux)
	if err != nil {
		t.Fatal(err)
	}
	copy(b[at:], code)
	path := filepath.Join(t.TempDir(), "vmlinux")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// TestBeforeC: a ud2 in what secondary_startup_64 calls, before there is an IDT to deliver it by. system_state is 0 then, as it is in
// start_kernel().
func TestBeforeC(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good612))
	p.Kernel, p.Vmlinux = "", overwritten(t, p.Vmlinux, "early_setup_idt", []byte{0x0f, 0x0b})
	r := boots(t, p)
	if r.Class != verdict.TripleFault || r.Stage != verdict.EarlyC || r.StageCall != "" || r.Cause == nil || r.Cause.Function != "early_setup_idt" {
		t.Errorf("class %s, stage %s (%s), cause %+v: %s", r.Class, r.Stage, r.StageCall, r.Cause, r.Summary)
	}
}
