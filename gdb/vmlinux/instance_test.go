package vmlinux

import (
	"bufio"
	"bytes"
	"debug/elf"
	"errors"
	"fmt"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
)

// locations asks gdb how many places it would break at: the oracle (gdb 13 of Debian 12).
func locations(t *testing.T, vmlinux string, functions []string) map[string]int {
	t.Helper()
	gdb, err := exec.LookPath("gdb")
	fixtures.Need(t, err == nil, "gdb", "make test-deps")
	args := []string{"-nx", "-batch"}
	for _, s := range functions {
		args = append(args, "-ex", "break "+s)
	}
	out, err := exec.Command(gdb, append(args, vmlinux)...).Output()
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]int{}
	for _, m := range regexp.MustCompile(`: (\w+)\. \((\d+) locations\)`).FindAllStringSubmatch(string(out), -1) {
		found[m[1]], _ = strconv.Atoi(m[2])
	}
	return found
}

// TestInstances: functions that are inlined everywhere have as many copies as gdb finds, and binutils' addr2line knows that each
// place is in a copy of its own. (Where a copy begins gdb 13 does not know; it takes the lowest address of the block.)
func TestInstances(t *testing.T) {
	for _, name := range []string{fixtures.Good61, fixtures.Good612} {
		t.Run(name, func(t *testing.T) {
			f := openFixture(t, name)
			functions := []string{"__SetPageReserved", "get_page", "list_add"}
			want := locations(t, f.Path(), functions)
			for _, spec := range functions {
				instances, err := f.Instances(spec)
				if err != nil {
					t.Error(err)
				}
				var at []Addr
				for _, i := range instances {
					if !i.Inline {
						t.Errorf("%s has code of its own at 0x%x", spec, uint64(i.Addr))
					}
					at = append(at, i.Addr)
				}
				if len(at) != want[spec] || len(at) == 0 {
					t.Errorf("%s: %d places, gdb has %d", spec, len(at), want[spec])
				}
				for i, chain := range addr2line(t, f.Path(), at) {
					if !slices.ContainsFunc(chain, func(s string) bool { return strings.HasPrefix(s, spec+" ") }) {
						t.Errorf("%s: 0x%x is in %q", spec, uint64(at[i]), chain)
					}
				}
			}
			for _, spec := range []string{"vfs_read", "__warn", "startup_64"} {
				sym, _ := f.Symbol(spec)
				if got, err := f.Instances(spec); err != nil || len(got) != 1 || got[0].Addr != sym.Addr || got[0].Inline {
					t.Errorf("%s: %+v, %v; the symbol is at 0x%x", spec, got, err, uint64(sym.Addr))
				}
			}
			for _, spec := range []string{"no_such_function", "jiffies_64", ""} {
				if got, err := f.Instances(spec); err != nil || len(got) != 0 {
					t.Errorf("%s: %+v, %v", spec, got, err)
				}
			}
		})
	}
}

// TestInstancesOfEveryForm: DWARF 4 and 5, without .debug_aranges, compressed, without debug information. The addresses are readelf's
// (see testdata/README.md): check() is inlined into init_one(), which is inlined into free_area_init(); line 57 is its loop's
// head, in four places.
func TestInstancesOfEveryForm(t *testing.T) {
	for _, name := range []string{"tiny", "tiny-dwarf4", "tiny-noaranges", "tiny-zlib", "tiny-zstd", "tiny-stripped"} {
		f, err := Open("testdata/" + name + ".elf")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		for function, want := range map[string][]Instance{
			"check": {{0xffffffff81000082, true}}, "init_one": {{0xffffffff81000082, true}}, "list_add": {{0xffffffff8100008f, true}},
			"scaled": {{0xffffffff81000030, false}},
		} {
			if name == "tiny-stripped" && want[0].Inline { // its symbols are left
				want = nil
			}
			if got, err := f.Instances(function); err != nil || !slices.Equal(got, want) {
				t.Errorf("%s: %s: %+v, %v; want %+v", name, function, got, err, want)
			}
		}
		for line, want := range map[int]Addr{37: 0xffffffff81000082, 57: 0xffffffff81000050, 71: 0xffffffff810000e6} {
			got, err := f.LineCode("init/main.c", line)
			var unknown *UnknownError
			if name == "tiny-stripped" {
				if !errors.As(err, &unknown) {
					t.Errorf("%s: %v", name, err)
				}
			} else if err != nil || !slices.Equal(got.Code, []Addr{want}) {
				t.Errorf("%s: line %d: %#x, %v; want 0x%x", name, line, got.Code, err, uint64(want))
			}
		}
	}
}

// statements asks readelf for the statement rows of some files' lines (binutils 2.40), by base name and line. Of its output, 100 MB,
// most is passed over.
func statements(t *testing.T, vmlinux string, files ...string) map[string][]Addr {
	t.Helper()
	cmd := exec.Command(tool(t, "readelf"), "--debug-dump=decodedline", vmlinux)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	rows := map[string][]Addr{}
	for in := bufio.NewScanner(out); in.Scan(); {
		line := in.Bytes()
		if !slices.ContainsFunc(files, func(f string) bool { return bytes.HasPrefix(line, []byte(f)) }) {
			continue
		}
		f := strings.Fields(string(line)) // page_alloc.c  1730  0xffffffff81c1bfcc  3  x
		if len(f) < 4 || f[len(f)-1] != "x" || !slices.Contains(files, f[0]) {
			continue
		}
		a, err := strconv.ParseUint(f[2], 0, 64)
		if err != nil {
			t.Fatal(err)
		}
		rows[f[0]+":"+f[1]] = append(rows[f[0]+":"+f[1]], Addr(a))
	}
	if err := cmd.Wait(); err != nil {
		t.Fatal(err)
	}
	return rows
}

// TestLineCode: a line has one place in each copy of its function, the lowest of the rows that readelf shows there; which copy a
// row is in is asked of addr2line.
func TestLineCode(t *testing.T) {
	f := openFixture(t, fixtures.Good61)
	all := statements(t, f.Path(), "page_alloc.c", "main.c", "page-flags.h")
	for _, tc := range []struct {
		file string
		line int
	}{{"mm/page_alloc.c", 6958}, {"mm/page_alloc.c", 1730}, {"init/main.c", 1344}, {"include/linux/page-flags.h", 297}} {
		spec := fmt.Sprintf("%s:%d", tc.file, tc.line)
		rows := all[path.Base(spec)]
		slices.Sort(rows)
		var want []Addr
		copies := map[string]bool{}
		for i, chain := range addr2line(t, f.Path(), rows) {
			at := max(0, slices.IndexFunc(chain, func(s string) bool { return strings.HasSuffix(s, "/"+spec) }))
			name, _, _ := strings.Cut(chain[at], " ")
			if key := fmt.Sprint(name, chain[at+1:]); !copies[key] {
				copies[key] = true
				want = append(want, rows[i])
			}
		}
		got, err := f.LineCode(tc.file, tc.line)
		if err != nil || !slices.Equal(got.Files, []string{tc.file}) || !slices.Equal(got.Code, want) || len(want) == 0 {
			t.Errorf("%s: %v, in %v; %d places, readelf and addr2line have %d\n%#x\n%#x", spec, err, got.Files, len(got.Code), len(want), got.Code, want)
		}
	}
	// A line without code, by the end of the file's name; readelf has rows for the lines around it.
	got, err := f.LineCode("page_alloc.c", 6944)
	if before, after := all[fmt.Sprintf("page_alloc.c:%d", got.Before)], all[fmt.Sprintf("page_alloc.c:%d", got.After)]; err != nil || len(got.Code) != 0 ||
		got.Before >= 6944 || got.After <= 6944 || len(before) == 0 || len(after) == 0 {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := f.LineCode("no_such_file.c", 1); err != nil || len(got.Files) != 0 || len(got.Code) != 0 {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestMentions: a name that is the tail of any number of others is found by its own place, behind them all or at the front; without one
// of its own by every tail; and where those are too many no unit is left out.
func TestMentions(t *testing.T) {
	tails := strings.Repeat("highpage\x00", 300)
	word := func(at int) []byte { return []byte{1, byte(at), byte(at >> 8), 0, 0, 9} }
	for _, tt := range []struct {
		name, str string
		at        int
		want      bool
	}{
		{"behind 300 tails", tails + "page\x00", len(tails), true},
		{"before 300 tails", "page\x00" + tails, 0, true},
		{"not merged", "page\x00other\x00page\x00", 11, true},
		{"elsewhere", "page\x00other\x00", 5, false},
		{"a tail in use", "highpage\x00other\x00", 4, true},
		{"a tail out of use", "highpage\x00page\x00", 4, false},
		{"300 tails", tails, 4 + 9*299, true},
	} {
		f := &File{sections: map[string]*section{".debug_str": {file: []byte(tt.str),
			elf: &elf.Section{SectionHeader: elf.SectionHeader{Name: ".debug_str", Type: elf.SHT_PROGBITS, FileSize: uint64(len(tt.str))}}}}}
		mentions, err := f.mentions("page")
		if err != nil {
			t.Fatal(err)
		}
		if got := mentions(word(tt.at)); got != tt.want {
			t.Errorf("%s: %v", tt.name, got)
		}
	}
}
