package machine

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Expected values were read off the files by eye; see testdata/README.md for their origin.
func TestParseCPUs(t *testing.T) {
	for _, c := range []struct {
		file string
		want []CPUState
	}{
		{"reset.txt", []CPUState{
			{RIP: 0xfff0, RFLAGS: 2, CS: 0xf000, CSBase: 0xffff0000, IDTLimit: 0xffff, GDTLimit: 0xffff, CR0: 0x60000010},
			{Index: 1, RIP: 0xfff0, RFLAGS: 2, Halted: true, CS: 0xf000, CSBase: 0xffff0000, IDTLimit: 0xffff, GDTLimit: 0xffff, CR0: 0x60000010},
		}},
		{"early-exception-smp2.txt", []CPUState{
			{RIP: 0xffffffffa5208ca0, RFLAGS: 0x46, RSP: 0xffffffffa5003d40, RBP: 6, Halted: true, CS: 0x10, CS64: true,
				IDTBase: 0xffffffffa5288000, IDTLimit: 0xfff, GDTBase: 0xffffffffa51de000, GDTLimit: 0x7f,
				CR0: 0x80050033, CR2: 0xffff932b0a600000, CR3: 0xa209000, CR4: 0xb0, EFER: 0xd01},
			{Index: 1, RIP: 0xfd09a, RFLAGS: 2, RSP: 0x6c5c, Halted: true, CS: 8, IDTBase: 0xf61be, GDTBase: 0xf6180, GDTLimit: 0x37, CR0: 0x11},
		}},
	} {
		t.Run(c.file, func(t *testing.T) {
			text, err := os.ReadFile(filepath.Join("testdata", "registers", c.file))
			if err != nil {
				t.Fatal(err)
			}
			for _, ends := range []string{"\n", "\r\n"} {
				got, err := ParseCPUs(strings.ReplaceAll(string(text), "\n", ends))
				if err != nil {
					t.Fatal(err)
				}
				if len(got) != len(c.want) {
					t.Fatalf("%d vCPUs, want %d", len(got), len(c.want))
				}
				for i := range got {
					if got[i] != c.want[i] {
						t.Errorf("vCPU %d:\ngot  %+v\nwant %+v", i, got[i], c.want[i])
					}
				}
			}
		})
	}
}

func TestParseCPUsRefuses(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"empty", "", "no CPU"},
		{"error text", "unknown command: 'info registers'\n", "no CPU"},
		{"cut off", "CPU#0\nRAX=0\n", "CPU 0: no instruction pointer"},
		{"cut off before the next", "CPU#0\nRIP=1 RFL=2\nCPU#1\nRIP=1 RFL=2 HLT=0\n", "CPU 0: no instruction pointer"},
		{"number", "CPU#x\n", "not a CPU number"},
		{"large number", "CPU#65535\n", "not a CPU number"},
		{"hexadecimal", "CPU#0\nRIP=zz RFL=2 HLT=0\n", "not a hexadecimal number"},
		{"too wide", "CPU#0\nRIP=00000000000000001 RFL=2 HLT=2\n", "not a hexadecimal number of 1 bits"},
		{"segment", "CPU#0\nCS =10\n", "segment without base"},
		{"table", "CPU#0\nIDT=\n", "table without limit"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := ParseCPUs(c.text)
			if err == nil || got != nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %+v, %v; want an error with %q", got, err, c.want)
			}
		})
	}
}

func FuzzParseCPUs(f *testing.F) {
	for _, file := range []string{"reset.txt", "early-exception-smp2.txt"} {
		text, err := os.ReadFile(filepath.Join("testdata", "registers", file))
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("CPU#0\nRIP=1 RFL=2 HLT=0\nCS =\n")
	f.Fuzz(func(t *testing.T, text string) {
		cpus, err := ParseCPUs(text)
		if (err == nil) != (len(cpus) > 0) {
			t.Errorf("%d vCPUs and error %v", len(cpus), err)
		}
		for _, c := range cpus {
			if c.CPL > 3 || c.Index >= maxCPUs {
				t.Errorf("out of range: %+v", c)
			}
		}
	})
}
