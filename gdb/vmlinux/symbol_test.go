package vmlinux

import (
	"bufio"
	"bytes"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
)

// TestLookupOracle compares addresses, sizes and types with readelf -s for every name that is there once.
func TestLookupOracle(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	out, err := exec.Command(tool(t, "readelf"), "-sW", f.Path()).Output()
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Symbol{}
	count := map[string]int{}
	sc := bufio.NewScanner(bytes.NewReader(out))
	for sc.Scan() { // "   Num:    Value          Size Type    Bind   Vis      Ndx Name"
		p := strings.Fields(sc.Text())
		if len(p) != 8 || p[6] == "UND" || p[3] == "FILE" || p[3] == "SECTION" {
			continue
		}
		addr, err := strconv.ParseUint(p[1], 16, 64)
		if err != nil {
			continue
		}
		size, err := strconv.ParseUint(p[2], 0, 64)
		if err != nil {
			continue
		}
		count[p[7]]++
		want[p[7]] = Symbol{Name: p[7], Addr: Addr(addr), Size: size, Func: p[3] == "FUNC", Global: p[4] != "LOCAL"}
	}
	var names []string
	for name := range want {
		names = append(names, name)
	}
	got := f.Lookup(names...)
	for _, name := range names {
		if count[name] == 1 && got[name] != want[name] {
			t.Errorf("got %+v, want %+v", got[name], want[name])
		}
	}
	if len(got) < 20000 {
		t.Errorf("only %d symbols", len(got))
	}
	if _, ok := f.Symbol("no_such_symbol"); ok {
		t.Error("a symbol out of nothing")
	}
	if s := f.Lookup("", "a"); len(s) != 0 {
		t.Errorf("%v", s)
	}
}

func TestSymbolAt(t *testing.T) {
	tiny := openTiny(t, "tiny")
	for _, tt := range []struct {
		at   string
		off  Addr
		want string
	}{
		{"die", 0, "die"},
		{"free_area_init.cold", 3, "free_area_init.cold"},
		{"startup_64", 0, "startup_64"},
		{"startup_64", 3, "inner_label"}, // as the kernel says common_startup_64
		{"unsized", 2, "unsized"},
		{"scaled.constprop.0", 0x12, ""}, // padding
		{"start_kernel", 5, "start_kernel"},
		{"linux_banner", 0, ""}, // data
	} {
		s, ok := tiny.Symbol(tt.at)
		if !ok {
			t.Errorf("no symbol %s", tt.at)
		}
		if got, _ := tiny.SymbolAt(s.Addr + tt.off); got.Name != tt.want {
			t.Errorf("%s+%#x: got %q, want %q", tt.at, uint64(tt.off), got.Name, tt.want)
		}
	}
	f := openFixture(t, fixtures.Seed61)
	for _, tt := range []struct {
		at   string
		off  Addr
		want string
	}{
		{"_stext", 0, "startup_64"},
		{"secondary_startup_64", 0x80, "secondary_startup_64_no_verify"},
		{"entry_SYSCALL_64_after_hwframe", 1, "entry_SYSCALL_64_after_hwframe"},
		{"early_idt_handler_common", 0x20, "early_idt_handler_common"},
		{"int3_selftest_ip", 0, "int3_selftest"}, // a label in a function's inline assembly
	} {
		s, ok := f.Symbol(tt.at)
		if !ok {
			t.Errorf("no symbol %s", tt.at)
		}
		got, ok := f.SymbolAt(s.Addr + tt.off)
		if !ok || got.Name != tt.want {
			t.Errorf("%s+%#x: got %q, want %q", tt.at, uint64(tt.off), got.Name, tt.want)
		}
	}
	for _, low := range []Addr{0, 0x1000, 0x14790} { // below the end of .data..percpu
		if s, ok := f.SymbolAt(low); ok {
			t.Errorf("0x%x is %s", uint64(low), s.Name)
		}
	}
}

// TestLookupAgain: a name asked for before, alone or among others, there or not, has the same answer.
func TestLookupAgain(t *testing.T) {
	f := openFixture(t, fixtures.Seed61)
	first := f.Lookup("panic", "no_such_symbol", "start_kernel")
	if len(first) != 2 {
		t.Fatalf("Lookup = %v, want panic and start_kernel", first)
	}
	again := f.Lookup("start_kernel", "linux_banner", "no_such_symbol", "panic")
	if again["panic"] != first["panic"] || again["start_kernel"] != first["start_kernel"] || again["linux_banner"].Addr == 0 || len(again) != 3 {
		t.Errorf("Lookup again = %v, first %v", again, first)
	}
	var many []string
	for i := range maxKnown + 1 {
		many = append(many, "name_"+strconv.Itoa(i))
	}
	f.Lookup(many[:maxKnown-1]...)
	if f.Lookup(many[maxKnown:]...); len(f.names.known) > maxKnown {
		t.Errorf("%d names are kept, want at most %d", len(f.names.known), maxKnown)
	}
	if s, ok := f.Symbol("panic"); !ok || s != first["panic"] {
		t.Errorf("Symbol(panic) = %v, %v; first %v", s, ok, first["panic"])
	}
}

// TestSymbolNearby: the first addresses, which are looked up in an index of their neighbourhood, have the symbols that they have in
// the index of all.
func TestSymbolNearby(t *testing.T) {
	for _, name := range []string{fixtures.Seed61, fixtures.Seed612} {
		f := openFixture(t, name)
		answered := 0
		for _, a := range append(sampleCode(f, 300), 0xffffffff81000000) {
			want, wanted := f.SymbolAt(a)
			near := f.indexSymbols(a-min(a, neighbourhood), a)
			got, ok := near.at(a, false)
			if ok && (got != want || !wanted) {
				t.Errorf("0x%x: %+v nearby, %+v of all", uint64(a), got, want)
			}
			if ok {
				answered++
			}
			first := symbolIndex{}
			f.symbols, first = first, f.symbols
			if got, ok := f.SymbolAt(a); got != want || ok != wanted {
				t.Errorf("0x%x: %+v at first, then %+v", uint64(a), got, want)
			}
			f.symbols = first
		}
		if answered < 250 {
			t.Errorf("%s: only %d addresses were answered nearby", name, answered)
		}
	}
}
