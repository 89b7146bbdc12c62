package debuginfo

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"kcatch/gdb/trace"
	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

func open(t testing.TB, path string) *vmlinux.File {
	t.Helper()
	f, err := vmlinux.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = f.Close() })
	return f
}

func filtered(t *testing.T, k trace.Symbols, text string) string {
	t.Helper()
	var out bytes.Buffer
	if _, err := (&trace.Filter{Symbols: k}).Copy(&out, strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
	return out.String()
}

// TestSameName: static functions of one name. nm has five type_show of different sizes in good-6.1, five cmask_show of one size in
// five files of arch/x86/events, and two jhash, which is inline in a header and twice not inlined.
func TestSameName(t *testing.T) {
	path := fixtures.Find(t, fixtures.Good61).Vmlinux
	k := Search{}.Kernel(open(t, path))
	twins := map[string][]symbol{}
	for _, s := range nm(t, path) {
		twins[s.name] = append(twins[s.name], s)
	}
	files := map[string]bool{}
	for _, s := range twins["type_show"] {
		got := filtered(t, k, fmt.Sprintf(" type_show+0x8/0x%x\n", s.span))
		want := addr2line(t, path, []uint64{s.addr + 7})[0]
		same := 0
		for _, other := range twins["type_show"] {
			if other.span == s.span {
				same++
			}
		}
		if !strings.Contains(got, want[len(want)-1]) || strings.Contains(got, "ambiguous") != (same > 1) {
			t.Errorf("%+v: %q, addr2line has %v", s, got, want)
		}
		files[got] = true
	}
	if len(files) < 3 {
		t.Errorf("%d kinds of type_show: %v", len(files), files)
	}
	cmask := twins["cmask_show"]
	if len(cmask) < 2 {
		t.Fatalf("cmask_show: %v", cmask)
	}
	got := filtered(t, k, fmt.Sprintf(" cmask_show+0x8/0x%x\n", cmask[0].span))
	if !strings.Contains(got, " (ambiguous: arch/x86/events/") || strings.Count(got, ".c:") != min(4, len(cmask)) {
		t.Errorf("%q", got)
	}
	jhash := twins["jhash"]
	if len(jhash) < 2 {
		t.Fatalf("jhash: %v", jhash)
	}
	if got := filtered(t, k, fmt.Sprintf(" jhash+0x8/0x%x\n", jhash[0].span)); !strings.Contains(got, " (include/linux/jhash.h:") {
		t.Errorf("%q", got)
	}
}

// symbol is a function as nm has it; span is the distance to the next symbol in code.
type symbol struct {
	name       string
	addr, span uint64
}

func nm(t *testing.T, path string) []symbol {
	t.Helper()
	_, err := exec.LookPath("nm")
	fixtures.Need(t, err == nil, "nm", "apt-get install binutils")
	out, err := exec.Command("nm", "-n", path).Output()
	if err != nil {
		t.Fatal(err)
	}
	var all []symbol
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) != 3 || !strings.Contains("tTwW", f[1]) {
			continue
		}
		addr, err := strconv.ParseUint(f[0], 16, 64)
		if err != nil {
			t.Fatal(err)
		}
		for i := len(all) - 1; i >= 0 && all[i].span == 0; i-- {
			all[i].span = addr - all[i].addr
		}
		all = append(all, symbol{name: f[2], addr: addr})
	}
	return all
}

// place is what the filter adds: a file and a line.
var place = regexp.MustCompile(`\((\S+:\S+)\)`)

var source = regexp.MustCompile(`^(?:.*?/)?((?:arch|block|crypto|drivers|fs|include|init|io_uring|ipc|kernel|lib|mm|net|security|usr|virt|sound)/\S+:\d+)`)

// addr2line is the oracle: the lines at each address, innermost first, with names relative to the tree. more are further arguments.
func addr2line(t *testing.T, path string, addrs []uint64, more ...string) [][]string {
	t.Helper()
	_, err := exec.LookPath("addr2line")
	fixtures.Need(t, err == nil, "addr2line", "apt-get install binutils")
	var in strings.Builder
	for _, a := range addrs {
		fmt.Fprintf(&in, "0x%x\n", a)
	}
	cmd := exec.Command("addr2line", append([]string{"-ai", "-e", path}, more...)...)
	cmd.Stdin = strings.NewReader(in.String())
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var all [][]string
	for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "0x") {
			all = append(all, nil)
			continue
		}
		if m := source.FindStringSubmatch(filepath.Clean(line)); m != nil {
			line = m[1]
		}
		all[len(all)-1] = append(all[len(all)-1], line)
	}
	if len(all) != len(addrs) {
		t.Fatalf("addr2line answered %d of %d addresses", len(all), len(addrs))
	}
	return all
}

// TestFilterOracle: a call trace of every fortieth function of a kernel, with the sizes that nm gives, and the lines that addr2line
// gives for the address before each. addr2line 2.40 gives some functions of headers the file of their unit (gdb/vmlinux's
// oracle_test.go has it from readelf); these are counted. With every tenth function 3 of 1,445 were so in 6.1.
func TestFilterOracle(t *testing.T) {
	const name = fixtures.Good612
	path := fixtures.Find(t, name).Vmlinux
	k := Search{}.Kernel(open(t, path))
	count := map[string]int{}
	all := nm(t, path)
	for _, s := range all {
		count[s.name]++
	}
	var text strings.Builder
	var addrs []uint64
	var picked []symbol
	for i, s := range all {
		if i%40 != 0 || s.span < 8 || count[s.name] != 1 {
			continue
		}
		fmt.Fprintf(&text, "[    1.234567]  %s+0x%x/0x%x\n", s.name, s.span/2+1, s.span)
		addrs, picked = append(addrs, s.addr+s.span/2), append(picked, s)
	}
	want := addr2line(t, path, addrs)
	got := strings.Split(strings.TrimSuffix(filtered(t, k, text.String()), "\n"), "\n")
	different, at := 0, 0
	for i, chain := range want {
		var lines []string
		for ; at < len(got); at++ {
			if m := place.FindStringSubmatch(got[at]); m != nil {
				lines = append(lines, m[1])
			}
			if !strings.HasSuffix(got[at], " (inlined)") {
				at++
				break
			}
		}
		if !slices.Equal(lines, chain) && !strings.Contains(fmt.Sprint(chain), "?") {
			different++
			if different < 10 {
				t.Logf("%s: %s at 0x%x: %v, addr2line has %v", name, picked[i].name, addrs[i], lines, chain)
			}
		}
	}
	t.Logf("%s: %d of %d differ", name, different, len(want))
	if len(want) < 200 || different > len(want)/50 || at != len(got) {
		t.Errorf("%s: %d of %d differ", name, different, len(want))
	}
}

// TestAt: an address alone, as a kernel without a symbol table prints it.
func TestAt(t *testing.T) {
	path := fixtures.Find(t, fixtures.Good61).Vmlinux
	f := open(t, path)
	k := Search{}.Kernel(f)
	s := f.Functions("start_kernel")[0]
	got := filtered(t, k, fmt.Sprintf(" ? 0x%x\nRIP: 0010:0x%x\n", uint64(s.Addr)+0x10, uint64(s.Addr)+0x10))
	want := regexp.MustCompile(fmt.Sprintf(`^ \? 0x\w+ start_kernel\+0x10/0x%x \(init/main.c:\d+\)\nRIP: 0010:0x\w+ start_kernel\+0x10/0x%x \(init/main.c:\d+\)\n$`, s.Span, s.Span))
	if !want.MatchString(got) {
		t.Errorf("%q", got)
	}
	// KASLR's offset comes at the end of a panic.
	const slide = 0x1a000000
	got = filtered(t, k, fmt.Sprintf("RIP: 0010:0x%x\n ? 0x%x\nKernel Offset: 0x%x from 0xffffffff81000000\n", uint64(s.Addr)+slide+0x10, uint64(s.Addr)+slide+0x10, slide))
	if strings.Count(got, " start_kernel+0x10/0x") != 2 || strings.Count(got, " (init/main.c:") != 2 {
		t.Errorf("under KASLR: %q", got)
	}
	if _, ok := k.At(0xffffffff80000000, unwind.Exact); ok {
		t.Error("code below the kernel")
	}
}

// TestModule: a module's functions by its .ko, found by name, of the kernel's release; the name of another is none of ours.
func TestModule(t *testing.T) {
	for _, name := range []string{fixtures.Cloud61, fixtures.Cloud612} {
		fixture := fixtures.Find(t, name)
		k := Search{Modules: fixture.FaultyModules}.Kernel(open(t, fixture.Vmlinux))
		f, err := k.module("kcatch_mod", "")
		if err != nil {
			t.Fatal(err)
		}
		g := f.Functions("kcatch_mod_null_write")
		if len(g) != 1 {
			t.Fatalf("%v", g)
		}
		var text strings.Builder
		for off := range g[0].Size {
			fmt.Fprintf(&text, "RIP: 0010:kcatch_mod_null_write+0x%x/0x%x [kcatch_mod]\n", off, g[0].Span)
		}
		got := filtered(t, k, text.String()+" f+0x1/0x2 [no_such]\n")
		for _, want := range []string{"kcatch_mod_store_inner (", "kcatch_mod_store_outer (", ") (inlined)\n", "kcatch_mod.c:", ") [kcatch_mod]\n f+0x1/0x2 [no_such]\n"} {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in %q", want, got)
			}
		}
		other := fixtures.Find(t, map[string]string{fixtures.Cloud61: fixtures.Cloud612, fixtures.Cloud612: fixtures.Cloud61}[name])
		k = Search{Modules: other.FaultyModules, Root: t.TempDir()}.Kernel(k.File)
		if _, err := k.module("kcatch_mod", ""); err == nil || !strings.Contains(err.Error(), "a module of ") {
			t.Errorf("a module of another kernel: %v", err)
		}
		if _, err := k.module("kcatch_mod", strings.Repeat("ab", 20)); err == nil {
			t.Error("a module of another build")
		}
	}
}

// TestModulesAreBounded: a text may name modules as it likes.
func TestModulesAreBounded(t *testing.T) {
	fixture := fixtures.Find(t, fixtures.Cloud61)
	k := Search{Root: t.TempDir(), Modules: fixture.FaultyModules}.Kernel(open(t, fixture.Vmlinux))
	for i := range maxFailed {
		if _, err := k.module(fmt.Sprint("x", i), ""); err == nil {
			t.Fatal("a module of no file")
		}
	}
	if _, err := k.module("kcatch_mod", ""); err != errTooMany {
		t.Errorf("after %d names: %v", maxFailed, err)
	}
}

// TestModuleByBuildID: gdb's directories and debuginfod's cache have modules, too.
func TestModuleByBuildID(t *testing.T) {
	fixture := fixtures.Find(t, fixtures.Cloud61)
	ko := filepath.Join(fixture.FaultyModules, "kcatch_mod.ko")
	data, err := os.ReadFile(ko)
	if err != nil {
		t.Fatal(err)
	}
	m, err := vmlinux.OpenUnloadedModule(ko, data, nil)
	if err != nil {
		t.Fatal(err)
	}
	id := m.BuildID()
	if len(id) != 40 {
		t.Fatalf("build id %q", id)
	}
	root := t.TempDir()
	link(t, ko, filepath.Join(root, buildIDFile(id)))
	link(t, ko, filepath.Join(root, "cache", id, "debuginfo"))
	for _, s := range []Search{{Root: root}, {Root: t.TempDir(), Caches: []string{filepath.Join(root, "cache")}}} {
		k := s.Kernel(open(t, fixture.Vmlinux))
		if f, err := k.module("kcatch_mod", id); err != nil || !f.HasDWARF() {
			t.Errorf("%+v: %v", s, err)
		}
	}
}

func link(t *testing.T, old, name string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(old, name); err != nil {
		t.Fatal(err)
	}
}

// TestBehindFunction: the address of the next function, a pointer that lay on the stack, is shown as the end of the one before, and
// between the two is padding. That is the reason, not that something was built without lines.
func TestBehindFunction(t *testing.T) {
	f := open(t, fixtures.Find(t, fixtures.Good61).Vmlinux)
	rest := f.Functions("rest_init")
	if len(rest) != 1 || rest[0].Span == rest[0].Size {
		t.Fatalf("rest_init has no padding behind it: %+v", rest)
	}
	a := Search{}.Kernel(f).Symbol(trace.Place{Symbol: "rest_init", Offset: rest[0].Span, Size: rest[0].Span, Kind: unwind.Return})
	if len(a.Frames) != 0 || a.Reason != "between functions" || a.Foreign {
		t.Errorf("%+v", a)
	}
}
