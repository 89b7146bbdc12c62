package harness

import (
	"debug/elf"
	"encoding/binary"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

// gdbValues prints a line a variable of every frame, "function name = value", for gdb's own Python. Of a number it prints the
// number, of a pointer the address minus the slide where it points into the kernel's image.
const gdbValues = `
import gdb, os
slide = int(os.environ["SLIDE"], 0)
def text(v):
    t = v.type.strip_typedefs()
    if t.code in (gdb.TYPE_CODE_INT, gdb.TYPE_CODE_ENUM, gdb.TYPE_CODE_BOOL, gdb.TYPE_CODE_CHAR):
        return str(int(v))
    if t.code == gdb.TYPE_CODE_PTR:
        if "synthetic" in v.format_string():
            return "<synthetic pointer>"
        n = int(v.cast(gdb.lookup_type("unsigned long")))
        return hex(n - slide if n >= 0xffffffff80000000 else n)
    return v.format_string(repeat_threshold=0, max_elements=0, symbols=False)
f = gdb.newest_frame()
while f and f.function():
    b = f.block()
    while b:
        for s in b:
            if (s.is_argument or s.is_variable) and "__UNIQUE_ID" not in s.name:
                try:
                    value = text(f.read_var(s, b))
                except gdb.error as e:
                    value = "<%s>" % e
                print("V %s %s = %s" % (f.name(), s.name, value))
        if b.function:
            break
        b = b.superblock
    f = f.older()
`

// goldenValues compares the values of the frames at fault and outward with gdb's, which -update writes: gdb cannot go through
// the exception, so a copy of the core has the registers that the exception saved as its own.
func goldenValues(t *testing.T, path, vmlinux string, r verdict.Result) {
	t.Helper()
	if *update {
		core := filepath.Join(t.TempDir(), "core")
		run := func(env, name string, args ...string) string {
			cmd := exec.Command(name, args...)
			cmd.Env = append(os.Environ(), env)
			out, err := cmd.Output()
			if err != nil {
				t.Fatalf("%s: %v\n%s", name, err, out)
			}
			return string(out)
		}
		run("", "cp", "--sparse=always", r.Artifacts.VMCore, core)
		interrupted(t, core, uint64(r.Cause.Exception.PtRegs))
		script := filepath.Join(t.TempDir(), "values.py")
		if err := os.WriteFile(script, []byte(gdbValues), 0o644); err != nil {
			t.Fatal(err)
		}
		slide := r.Kernel.KASLRSlide.String()
		out := run("SLIDE="+slide, "gdb", "-batch", "-nx", "-ex", "symbol-file "+vmlinux+" -o "+slide, "-ex", "core-file "+core, "-ex", "source "+script)
		text := "# GDB 13.1 on the vmcore, with the registers of the exception's pt_regs; written by go test -update\n"
		listed := map[string]bool{}
		for _, line := range strings.Split(out, "\n") {
			l, ok := strings.CutPrefix(line, "V ")
			key, v, _ := strings.Cut(l, " = ")
			if !ok || listed[key] && v == lost { // gdb lists an inlined function's again, as nobody's
				continue
			}
			listed[key] = true
			text += l + "\n"
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	ours := map[string][]string{}
	frames := r.CPUs[0].Frames
	for _, f := range frames[slices.IndexFunc(frames, func(f verdict.Frame) bool { return f.Cause }):] {
		for _, a := range f.Args {
			ours[f.Function+" "+a.Name] = append(ours[f.Function+" "+a.Name], plain(a.Value, uint64(r.Kernel.KASLRSlide)))
		}
	}
	agree := 0
	for _, line := range strings.Split(strings.TrimSpace(string(text)), "\n")[1:] {
		key, want, _ := strings.Cut(line, " = ")
		switch got := ours[key]; {
		case slices.Contains(got, want):
			agree++
		case want == lost && slices.ContainsFunc(got, noValue), // gdb says so also of what is lost
			want == "<synthetic pointer>" && slices.ContainsFunc(got, noValue):
			agree++
		default:
			t.Errorf("%s is %q, gdb says %s", key, got, want)
		}
	}
	t.Logf("%d variables agree with gdb", agree)
}

// lost is how gdb says that there is no value.
const lost = "<value has been optimized out>"

func noValue(s string) bool {
	return strings.HasPrefix(s, "<optimized out") || strings.HasPrefix(s, "<cannot ")
}

var (
	leadingNumber = regexp.MustCompile(`^(0x[0-9a-f]+|-?\d+)`)
	repeated      = regexp.MustCompile(`(-?\w+) <repeats (\d+) times>`)
)

// plain is a value's text as gdbValues prints it.
func plain(s string, slide uint64) string {
	switch s {
	case "true":
		return "1"
	case "false":
		return "0"
	case "NULL":
		return "0x0"
	}
	if m := leadingNumber.FindString(s); strings.HasPrefix(m, "0x") {
		n, err := strconv.ParseUint(m, 0, 64)
		if err == nil && n >= 0xffffffff80000000 {
			n -= slide
		}
		return fmt.Sprintf("0x%x", n)
	} else if m != "" {
		return m
	}
	return repeated.ReplaceAllStringFunc(s, func(r string) string {
		m := repeated.FindStringSubmatch(r)
		n, _ := strconv.Atoi(m[2])
		return strings.TrimSuffix(strings.Repeat(m[1]+", ", n), ", ")
	})
}

// interrupted makes the pt_regs at a run-time address the registers of a core's first vCPU. Both have the same order: struct
// user_regs_struct begins as struct pt_regs does, 112 bytes into a prstatus (include/linux/elfcore.h).
func interrupted(t *testing.T, path string, ptRegs uint64) {
	t.Helper()
	f, err := elf.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var regs [168]byte
	found := false
	for _, p := range f.Progs {
		if p.Type == elf.PT_LOAD && ptRegs >= p.Vaddr && ptRegs-p.Vaddr < p.Filesz {
			_, err = p.ReadAt(regs[:], int64(ptRegs-p.Vaddr))
			found = err == nil
		}
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil || !found {
		t.Fatalf("pt_regs at 0x%x: found %v, %v", ptRegs, found, err)
	}
	defer file.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_NOTE {
			var name [4]byte
			if _, err := p.ReadAt(name[:], 0); err != nil {
				t.Fatal(err)
			}
			desc := 12 + (int64(binary.LittleEndian.Uint32(name[:]))+3)&^3
			if _, err := file.WriteAt(regs[:], int64(p.Off)+desc+112); err != nil {
				t.Fatal(err)
			}
			return
		}
	}
	t.Fatal("no notes")
}

// drgnValues prints the variables of a stack as gdbValues does, in drgn. What drgn 0.0.22 cannot evaluate (DW_OP_entry_value,
// DW_OP_implicit_pointer) it leaves out.
const drgnValues = `
from drgn import TypeKind
def text(o):
    t = o.type_
    while t.kind == TypeKind.TYPEDEF:
        t = t.type
    if o.absent_:
        return "<absent>"
    if t.kind in (TypeKind.INT, TypeKind.BOOL, TypeKind.ENUM):
        return str(int(o.value_()))
    if t.kind == TypeKind.POINTER:
        n = o.value_()
        return hex(n - int(sys.argv[4], 0) if n >= 0xffffffff80000000 else n)
for f in p.stack_trace(regs):
    for name in f.locals():
        try:
            value = text(f[name])
        except Exception:
            continue
        if value is not None:
            print("V %s %s = %s" % (f.name, name, value))
`

// agreeWithDrgn compares what drgnValues printed with the values of a chain, and returns how many agree.
func agreeWithDrgn(t *testing.T, lines []string, frames []verdict.Frame, slide uint64) (agree int) {
	t.Helper()
	ours := map[string][]string{}
	for _, f := range frames {
		for _, a := range f.Args {
			ours[f.Function+" "+a.Name] = append(ours[f.Function+" "+a.Name], plain(a.Value, slide))
		}
	}
	for _, l := range lines {
		key, want, _ := strings.Cut(l, " = ")
		switch got := ours[key]; {
		case want == "<absent>": // drgn 0.0.22 says so also of DW_OP_stack_value
		case slices.Contains(got, want):
			agree++
		default:
			t.Errorf("%s is %q, drgn says %s", key, got, want)
		}
	}
	return agree
}
