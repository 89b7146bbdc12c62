package vmlinux

import (
	"debug/dwarf"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
)

var update = flag.Bool("update", false, "rewrite testdata from what gdb says")

// gdbAnswers runs gdb on a file without starting anything and returns what each expression prints.
func gdbAnswers(t *testing.T, path string, expressions []string) []string {
	t.Helper()
	args := []string{"-batch", "-nx", "-ex", "set confirm off", "-ex", "set print sevenbit-strings on"}
	for _, e := range expressions {
		args = append(args, "-ex", "output/d "+e, "-ex", `echo \n`)
	}
	out, err := exec.Command(tool(t, "gdb"), append(args, path)...).Output()
	if err != nil {
		t.Fatalf("gdb: %v", err)
	}
	lines := strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
	if len(lines) != len(expressions) {
		t.Fatalf("gdb: %d answers to %d questions, the last: %q", len(lines), len(expressions), lines[len(lines)-1])
	}
	return lines
}

// TestTypesOracle: gdb is the oracle, asked for the size of structures and variables, the place and the size of members, and
// the values of enumerators.
func TestTypesOracle(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	anchor, _ := f.Symbol("free_area_init")
	var questions, want []string
	ask := func(question string, answer any) {
		questions, want = append(questions, question), append(want, fmt.Sprint(answer))
	}
	for _, name := range []string{"struct page", "struct task_struct", "struct zone", "struct inode", "struct tty_struct",
		"struct worker_pool", "gfp_t", "struct pt_regs", "enum pageflags", "u8", "unsigned long", "pteval_t"} {
		typ, err := f.Type(anchor.Addr, name)
		if err != nil {
			t.Error(err)
			continue
		}
		if any, err := f.Type(0, name); err != nil || any.Size() != typ.Size() || any.String() != typ.String() {
			t.Errorf("%s: %v of no anchor, %v; %v of one", name, any, err, typ)
		}
		ask("sizeof("+name+")", typ.Size())
		switch u := Underlying(typ).(type) {
		case *dwarf.StructType:
			named := 0
			for _, m := range u.Field {
				if m.Name == "" || m.BitSize > 0 {
					continue
				}
				named++
				ask(fmt.Sprintf("(long)&((%s *)0)->%s", name, m.Name), m.ByteOffset)
				if size := m.Type.Size(); size >= 0 { // not a flexible array
					ask(fmt.Sprintf("sizeof(((%s *)0)->%s)", name, m.Name), size)
				}
			}
			if named == 0 || u.Incomplete {
				t.Errorf("%s has no members", name)
			}
		case *dwarf.EnumType:
			for _, v := range u.Val {
				ask("(long)"+v.Name, v.Val)
			}
		}
	}
	for _, name := range []string{"init_task", "jiffies_64", "prb", "system_state", "idt_table", "phys_base", "vmemmap_base",
		"printk_rb_static", "contig_page_data", "runqueues", "initcall_debug", "mem_map", "__log_buf", "pageflag_names"} {
		addr, typ, err := f.Global(name)
		if err != nil {
			t.Error(err)
			continue
		}
		ask("sizeof("+name+")", typ.Size())
		if f.PerCPU(addr) != (name == "runqueues") {
			t.Errorf("%s: per-CPU: %v", name, f.PerCPU(addr))
		}
	}
	const golden = "testdata/types-seed-6.1.txt"
	if *update {
		text := "# gdb -batch vmlinux of seed-6.1, GDB 13.1: output/d QUESTION; written by go test -update\n"
		for i, answer := range gdbAnswers(t, f.Path(), questions) {
			text += questions[i] + " = " + answer + "\n"
		}
		if err := os.WriteFile(golden, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSuffix(string(text), "\n"), "\n")[1:]
	if len(lines) != len(questions) {
		t.Fatalf("%d answers, %d questions; run with -update", len(lines), len(questions))
	}
	for i, line := range lines {
		if got := questions[i] + " = " + want[i]; got != line {
			t.Errorf("%s, gdb says %s", got, line)
		}
	}
}

func TestComplete(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	_, typ, err := f.Global("prb")
	if err != nil {
		t.Fatal(err)
	}
	ptr, ok := typ.(*dwarf.PtrType)
	if !ok {
		t.Fatalf("prb: %v", typ)
	}
	if s, ok := ptr.Type.(*dwarf.StructType); !ok || !s.Incomplete || s.Size() != 88 {
		t.Errorf("behind prb: %v", ptr.Type)
	}
	for range 2 {
		whole, err := f.Complete(ptr.Type)
		if err != nil {
			t.Fatal(err)
		}
		if s := whole.(*dwarf.StructType); s.Incomplete || len(s.Field) != 3 || s.Field[0].Name != "desc_ring" {
			t.Errorf("prb: %v", whole)
		}
		f.types.left = nil // then by its name
	}
	// A unit that only declares it.
	whole, err := f.Complete(&dwarf.StructType{StructName: "worker_pool", Kind: "struct", Incomplete: true})
	if s, ok := whole.(*dwarf.StructType); err != nil || !ok || len(s.Field) == 0 {
		t.Errorf("struct worker_pool: %v, %v", whole, err)
	}
	if _, err := f.Complete(&dwarf.StructType{StructName: "of_nothing", Kind: "struct", Incomplete: true}); err == nil {
		t.Error("a structure out of nothing")
	}
}

func TestTypeUnknown(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	for _, name := range []string{"", "struct ", "struct of_nothing", "enum start_kernel", "int of_nothing"} {
		if typ, err := f.Type(0, name); err == nil {
			t.Errorf("%q: %v", name, typ)
		}
	}
	for _, name := range []string{"", "start_kernel", "of_nothing"} {
		if a, typ, err := f.Global(name); err == nil {
			t.Errorf("%q: 0x%x %v", name, uint64(a), typ)
		}
	}
}
