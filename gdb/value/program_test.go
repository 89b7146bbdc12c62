package value_test

import (
	"debug/dwarf"
	"debug/elf"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/gdb/value"
	"kcatch/internal/fixtures"
)

// program is testdata/program.c as gcc made it: a scope whose memory is the file's own data.
type program struct {
	path      string
	file      *elf.File
	types     map[string]dwarf.Type
	variables map[string]value.Value
}

func compile(t testing.TB, flags ...string) *program {
	t.Helper()
	gcc, err := exec.LookPath("gcc")
	fixtures.Need(t, err == nil, "gcc", "apt-get install gcc")
	path := filepath.Join(t.TempDir(), "program")
	args := append([]string{"-g", "-O0", "-nostdlib", "-static", "-fno-pie", "-no-pie", "-fno-stack-protector", "-o", path, "testdata/program.c"}, flags...)
	if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("gcc: %v\n%s", err, out)
	}
	p := &program{path: path, types: map[string]dwarf.Type{}, variables: map[string]value.Value{}}
	if p.file, err = elf.Open(path); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.file.Close() })
	d, err := p.file.DWARF()
	if err != nil {
		t.Fatal(err)
	}
	symbols, err := p.file.Symbols()
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]uint64{}
	for _, s := range symbols {
		at[s.Name] = s.Value
	}
	for r := d.Reader(); ; {
		e, err := r.Next()
		if err != nil {
			t.Fatal(err)
		}
		if e == nil {
			break
		}
		name, _ := e.Val(dwarf.AttrName).(string)
		prefix := map[dwarf.Tag]string{dwarf.TagStructType: "struct ", dwarf.TagUnionType: "union ", dwarf.TagEnumerationType: "enum "}[e.Tag]
		switch e.Tag {
		case dwarf.TagStructType, dwarf.TagUnionType, dwarf.TagEnumerationType, dwarf.TagTypedef:
			if p.types[prefix+name], err = d.Type(e.Offset); err != nil {
				t.Fatal(err)
			}
		case dwarf.TagVariable:
			typ, ok := e.Val(dwarf.AttrType).(dwarf.Offset)
			if !ok || at[name] == 0 {
				continue
			}
			v := value.Value{Addr: at[name], HasAddr: true}
			if v.Type, err = d.Type(typ); err != nil {
				t.Fatal(err)
			}
			p.variables[name] = v
		case dwarf.TagSubprogram:
			if at[name] != 0 {
				p.variables[name] = value.Value{Type: &dwarf.FuncType{}, Addr: at[name], HasAddr: true}
			}
		}
	}
	for _, typ := range p.types {
		if enum, ok := typ.(*dwarf.EnumType); ok {
			for _, v := range enum.Val {
				p.variables[v.Name] = value.Value{Type: enum, Bytes: []byte{byte(v.Val), byte(v.Val >> 8), byte(v.Val >> 16), byte(v.Val >> 24)}}
			}
		}
	}
	// A pointer in a register, and what a compiler has not kept.
	p.variables["page"] = value.Value{Type: &dwarf.PtrType{CommonType: dwarf.CommonType{ByteSize: 8}, Type: p.types["struct page"]},
		Bytes: []byte{byte(at["pages"]), byte(at["pages"] >> 8), byte(at["pages"] >> 16), byte(at["pages"] >> 24), 0, 0, 0, 0}}
	p.variables["gone"] = value.Value{Type: p.variables["page"].Type, Err: value.ErrOptimizedOut}
	return p
}

func (p *program) Variable(name string) (value.Value, bool, error) {
	v, ok := p.variables[name]
	return v, ok, nil
}

func (p *program) Type(name string) (dwarf.Type, error) {
	if t, ok := p.types[name]; ok {
		return t, nil
	}
	return nil, fmt.Errorf("no type %s", name)
}

func (p *program) Complete(t dwarf.Type) (dwarf.Type, error) { return t, nil }

var errNotMapped = errors.New("not mapped")

func (p *program) ReadMemory(b []byte, addr uint64) (int, error) {
	for _, s := range p.file.Sections {
		if s.Flags&elf.SHF_ALLOC == 0 || addr < s.Addr || addr >= s.Addr+s.Size {
			continue
		}
		n := int(min(uint64(len(b)), s.Addr+s.Size-addr))
		if s.Type == elf.SHT_NOBITS {
			clear(b[:n])
		} else if _, err := s.ReadAt(b[:n], int64(addr-s.Addr)); err != nil {
			return 0, err
		}
		if n < len(b) {
			return n, errNotMapped
		}
		return n, nil
	}
	return 0, errNotMapped
}

// name is a symbol and an offset, as gdb prints it.
func (p *program) name(addr uint64) string {
	symbols, _ := p.file.Symbols()
	for _, s := range symbols {
		if kind := elf.ST_TYPE(s.Info); (kind == elf.STT_OBJECT || kind == elf.STT_FUNC) && addr >= s.Value && addr < s.Value+s.Size {
			if addr == s.Value {
				return s.Name
			}
			return fmt.Sprintf("%s+%d", s.Name, addr-s.Value)
		}
	}
	return ""
}

// gdb prints expressions of the program, one a line.
func (p *program) gdb(t *testing.T, expressions []string) []string {
	t.Helper()
	gdb, err := exec.LookPath("gdb")
	fixtures.Need(t, err == nil, "gdb", "apt-get install gdb")
	args := []string{"-batch", "-nx", "-ex", "set print symbol on", "-ex", "set print null-stop on", "-ex", "set print repeats 2", "-ex", "set print elements 128", "-ex", "set width 0"}
	for _, e := range expressions {
		args = append(args, "-ex", "output "+e, "-ex", `echo \n`)
	}
	out, err := exec.Command(gdb, append(args, p.path)...).Output()
	if err != nil {
		t.Fatalf("gdb: %v", err)
	}
	return strings.Split(strings.TrimSuffix(string(out), "\n"), "\n")
}
