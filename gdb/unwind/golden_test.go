package unwind

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"

	"kcatch/gdb/amd64"
)

// golden is a real stop, small enough to keep: see testdata/README.md.
type golden struct {
	Made      string
	Registers amd64.Registers
	Slide     uint64
	Text, End uint64
	// Stack is the address of the first byte of stack.gz.
	Stack uint64
	// Code is the ORC entry of each link address that the walk looks up.
	Code []goldenCode
	// Want is the trace: "function pc-minus-slide found-by", innermost first, and the reason at the end.
	Want []string
}

type goldenCode struct {
	Link     uint64
	Function string
	ORC      ORC
}

func (g golden) IsText(link uint64) bool {
	_, ok := g.ORC(link)
	return ok
}

func (g golden) HasORC() bool { return true }

func (g golden) ORC(link uint64) (ORC, bool) {
	for _, c := range g.Code {
		if c.Link == link {
			return c.ORC, true
		}
	}
	return ORC{}, false
}

func (g golden) CFI(uint64) (Row, error) { return Row{}, ErrNoRow }

func (g golden) Function(link uint64) (string, uint64, bool) {
	for _, c := range g.Code {
		if c.Link == link {
			return c.Function, link, true
		}
	}
	return "", 0, false
}

func (g golden) CodeAt(uint64, int) []byte { return nil }

func describe(trace Trace, slide uint64, code Code) []string {
	var lines []string
	for _, f := range trace.Frames {
		name, _, _ := code.Function(f.PC.Lookup() - slide)
		lines = append(lines, fmt.Sprintf("%s 0x%x %s", name, f.PC.Addr-slide, f.By))
	}
	return append(lines, trace.Stop.String())
}

func loadGolden(t testing.TB, dir string) (golden, stackBytes) {
	t.Helper()
	var g golden
	b, err := os.ReadFile(filepath.Join(dir, "stop.json"))
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &g); err != nil {
		t.Fatalf("%s: %v", dir, err)
	}
	z, err := os.ReadFile(filepath.Join(dir, "stack.gz"))
	if err != nil {
		t.Fatal(err)
	}
	r, err := gzip.NewReader(bytes.NewReader(z))
	if err != nil {
		t.Fatal(err)
	}
	stack, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return g, stackBytes{g.Stack, stack}
}

// stackBytes is a piece of memory that begins at base.
type stackBytes struct {
	base uint64
	data []byte
}

func (s stackBytes) ReadMemory(p []byte, addr uint64) (int, error) {
	if off := addr - s.base; off < uint64(len(s.data)) {
		if n := copy(p, s.data[off:]); n == len(p) {
			return n, nil
		}
	}
	return 0, fmt.Errorf("0x%x is not in the slice", addr)
}

func TestGolden(t *testing.T) {
	dirs, _ := filepath.Glob("testdata/seed-*")
	if len(dirs) == 0 {
		t.Fatal("no goldens in testdata")
	}
	for _, dir := range dirs {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			g, stack := loadGolden(t, dir)
			kernel := Kernel{Code: g, Slide: g.Slide, Text: g.Text, End: g.End}
			trace := Walk(NewState(g.Registers), stack, &kernel)
			got := describe(trace, g.Slide, g)
			if fmt.Sprint(got) != fmt.Sprint(g.Want) {
				t.Errorf("got  %q\nwant %q", got, g.Want)
			}
			for _, f := range trace.Frames {
				if f.Interrupted && f.PtRegs == 0 {
					t.Errorf("interrupted frame at 0x%x has no pt_regs", f.PC.Addr)
				}
			}
		})
	}
}

// BenchmarkWalk is the seed's stack, 9 frames through one exception.
func BenchmarkWalk(b *testing.B) {
	g, stack := loadGolden(b, "testdata/seed-6.1")
	kernel := Kernel{Code: g, Slide: g.Slide, Text: g.Text, End: g.End}
	start := NewState(g.Registers)
	for b.Loop() {
		if trace := Walk(start, stack, &kernel); !trace.Stop.Whole() {
			b.Fatal(trace.Stop)
		}
	}
}
