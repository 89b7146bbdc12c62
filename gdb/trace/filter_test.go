package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"kcatch/gdb/unwind"
	"kcatch/gdb/vmlinux"
)

// fake is a kernel whose functions are f at 0xffffffff81000000, g (two inlined ones deep) at ...1000, and two called twin. Its
// code ends at ...10000.
type fake struct{ asked int }

const fakeBase = 0xffffffff81000000

func (k *fake) Symbol(p Place) Answer {
	k.asked++
	at := func(line int) vmlinux.Location {
		return vmlinux.Location{Function: p.Symbol, File: "zz/a.c", Line: line}
	}
	n := int(unwind.PC{Addr: p.Offset, Kind: p.Kind}.Lookup())
	switch {
	case p.Module == "gone":
		return Answer{Reason: "no file"}
	case p.Module != "":
		return Answer{Frames: []vmlinux.Location{at(n)}}
	case p.Symbol == "twin":
		return Answer{Several: []vmlinux.Location{at(1), at(2), at(3), at(4), at(5), at(6)}}
	case p.Symbol == "g":
		return Answer{Link: fakeBase + 0x1000 + p.Offset, Frames: []vmlinux.Location{
			{Function: "inner\x1b[31m", File: "zz/in\nner.h", Line: 7, Inline: true}, {Function: "outer", File: "zz/outer.h", Inline: true}, at(n)}}
	case p.Symbol == "f":
		return Answer{Link: fakeBase + p.Offset, Frames: []vmlinux.Location{at(n)}}
	}
	return Answer{Reason: "not there", Foreign: true}
}

func (k *fake) At(link uint64, kind unwind.Kind) (Answer, bool) {
	if link < fakeBase || link >= fakeBase+0x10000 {
		return Answer{}, false
	}
	a := k.Symbol(Place{Symbol: "f", Offset: link - fakeBase, Kind: kind})
	a.Symbol, a.Offset, a.Size = "f", link-fakeBase, 0x10000
	return a, true
}

func filtered(t *testing.T, f *Filter, in string) (string, Stats) {
	t.Helper()
	var out bytes.Buffer
	stats, err := f.Copy(&out, strings.NewReader(in))
	if err != nil {
		t.Fatal(err)
	}
	return out.String(), stats
}

func TestFilter(t *testing.T) {
	for _, tt := range []struct{ name, in, want string }{
		{"a return address is looked up one before", " f+0x10/0x20\n", " f+0x10/0x20 (zz/a.c:15)\n"},
		{"RIP is exact", "RIP: 0010:f+0x10/0x20\n", "RIP: 0010:f+0x10/0x20 (zz/a.c:16)\n"},
		{"a module's name stays behind", " f+0x10/0x20 [x]\n", " f+0x10/0x20 (zz/a.c:15) [x]\n"},
		{"inlined functions come first, under the name", "[    1.2][   T1]  ? g+0x10/0x20\r\n",
			"[    1.2][   T1]  ? inner?[31m (zz/in?ner.h:7) (inlined)\r\n[    1.2][   T1]  ? outer (zz/outer.h:?) (inlined)\r\n[    1.2][   T1]  ? g+0x10/0x20 (zz/a.c:15)\r\n"},
		{"and say no other word twice", "[    1.2] RIP: 0010:g+0x10/0x20",
			"[    1.2]           inner?[31m (zz/in?ner.h:7) (inlined)\n[    1.2]           outer (zz/outer.h:?) (inlined)\n[    1.2] RIP: 0010:g+0x10/0x20 (zz/a.c:16)"},
		{"several", " twin+0x10/0x20\n", " twin+0x10/0x20 (ambiguous: zz/a.c:1, zz/a.c:2, zz/a.c:3, zz/a.c:4, and 2 more)\n"},
		{"what is not there", " other+0x10/0x20\n f+0x1/0x2 [gone]\n", " other+0x10/0x20\n f+0x1/0x2 [gone]\n"},
		{"two in a line", " f+0x10/0x20 f+0x11/0x20\n", " f+0x10/0x20 (zz/a.c:15) f+0x11/0x20 (zz/a.c:16)\n"},
		{"what was here before", " f+0x10/0x20 (zz/a.c:15)\n g+0x1/0x2 (a.c:1) [x]\n", " f+0x10/0x20 (zz/a.c:15)\n g+0x1/0x2 (a.c:1) [x]\n"},
		{"an address where the kernel was linked", "IP 10:ffffffff81000010 error\n", "IP 10:ffffffff81000010 f+0x10/0x10000 (zz/a.c:16) error\n"},
		{"with its symbol it is one place", " [<ffffffff81000010>] f+0x10/0x20\n", " [<ffffffff81000010>] f+0x10/0x20 (zz/a.c:15)\n"},
		{"an address is moved back by what comes later", "IP 10:ffffffff8b000010 error\nx\nKernel Offset: 0xa000000 from 0xffffffff81000000\n",
			"IP 10:ffffffff8b000010 f+0x10/0x10000 (zz/a.c:16) error\nx\nKernel Offset: 0xa000000 from 0xffffffff81000000\n"},
		{"or by its RIP line", "IP 10:ffffffff8b000010 error\nRIP: 0010:f+0x10/0x10000\n[<ffffffff8b000020>]\n",
			"IP 10:ffffffff8b000010 f+0x10/0x10000 (zz/a.c:16) error\nRIP: 0010:f+0x10/0x10000 (zz/a.c:16)\n[<ffffffff8b000020>] f+0x20/0x10000 (zz/a.c:31)\n"},
		{"or by a line that has both", " [<ffffffff8b000010>] f+0x10/0x20\n [<ffffffff8b000020>]\n",
			" [<ffffffff8b000010>] f+0x10/0x20 (zz/a.c:15)\n [<ffffffff8b000020>] f+0x20/0x10000 (zz/a.c:31)\n"},
		{"which may lie", " [<ffffffff8b000011>] f+0x10/0x20\n [<ffffffff8b000020>]\n", " [<ffffffff8b000011>] f+0x10/0x20 (zz/a.c:15)\n [<ffffffff8b000020>]\n"},
		{"another boot is elsewhere", "Kernel Offset: 0xa000000 from 0xffffffff81000000\n[<ffffffff8b000020>]\nLinux version 6.1.0 (x)\n[<ffffffff8b000020>]\n",
			"Kernel Offset: 0xa000000 from 0xffffffff81000000\n[<ffffffff8b000020>] f+0x20/0x10000 (zz/a.c:31)\nLinux version 6.1.0 (x)\n[<ffffffff8b000020>]\n"},
		{"nothing", "", ""},
		{"bytes", "\x00\xff\x1b[2J\r\r\n::error::x\n", "\x00\xff\x1b[2J\r\r\n::error::x\n"},
	} {
		if got, _ := filtered(t, &Filter{Symbols: &fake{}}, tt.in); got != tt.want {
			t.Errorf("%s: %q\ngot  %q\nwant %q", tt.name, tt.in, got, tt.want)
		}
	}
}

// TestFilterCountsForeign: what the kernel's file does not have is counted, a module that is not here is not.
func TestFilterCountsForeign(t *testing.T) {
	const in = " f+0x10/0x20\n other+0x1/0x2\n f+0x1/0x2 [gone]\n twin+0x1/0x2 other+0x1/0x2\n"
	if _, stats := filtered(t, &Filter{Symbols: &fake{}}, in); stats.Foreign != 2 || stats.Places != 5 {
		t.Errorf("%+v", stats)
	}
}

// TestFilterOpens: the files are those of the kernel that the text tells of, also when it tells late, and more than one.
func TestFilterOpens(t *testing.T) {
	var asked []string
	missing := errors.New("no such kernel")
	open := func(id Identity) (Symbols, error) {
		asked = append(asked, id.Release+id.Version)
		if id.Release == "6.2.0" {
			return nil, missing
		}
		return &fake{}, nil
	}
	in := "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x10/0x20\nCPU: 0 PID: 1 Comm: x Not tainted 6.1.0 #1\nRIP: 0010:f+0x10/0x20\n" +
		"Linux version 6.2.0 (x) #1\n f+0x10/0x20\n" +
		"Linux version 6.1.0 (x) #1\n f+0x10/0x20\n"
	want := "WARNING: CPU: 0 PID: 1 at a.c:1 f+0x10/0x20 (zz/a.c:16)\nCPU: 0 PID: 1 Comm: x Not tainted 6.1.0 #1\nRIP: 0010:f+0x10/0x20 (zz/a.c:16)\n" +
		"Linux version 6.2.0 (x) #1\n f+0x10/0x20\n" +
		"Linux version 6.1.0 (x) #1\n f+0x10/0x20 (zz/a.c:15)\n"
	got, stats := filtered(t, &Filter{Open: open}, in)
	if got != want {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	if fmt.Sprint(asked) != "[6.1.0#1 6.2.0#1]" {
		t.Errorf("asked for %v", asked)
	}
	if len(stats.Errors) != 1 || !errors.Is(stats.Errors[0], missing) || len(stats.Kernels) != 2 || stats.Located != 3 || stats.Places != 4 || stats.Lines != 7 {
		t.Errorf("%+v", stats)
	}
	asked = nil
	const builds = "CPU: 0 PID: 1 Comm: x Not tainted 6.1.0 #1\n f+0x10/0x20\nCPU: 0 PID: 1 Comm: x Not tainted 6.1.0 #2\n f+0x10/0x20\n"
	if _, stats := filtered(t, &Filter{Open: open}, builds); fmt.Sprint(asked) != "[6.1.0#1 6.1.0#2]" || len(stats.Kernels) != 2 {
		t.Errorf("two builds of a release: asked for %v, %+v", asked, stats)
	}
	asked = nil
	if _, stats := filtered(t, &Filter{Open: open}, " f+0x10/0x20\n"); fmt.Sprint(asked) != "[]" || stats.Located != 1 {
		t.Errorf("a text of nobody's: asked for %q, %+v", asked, stats)
	}
}

// TestFilterIsBounded: what waits for a kernel's name is let go, and long lines pass.
func TestFilterIsBounded(t *testing.T) {
	long := strings.Repeat("x", 3*maxLine) + " f+0x10/0x20\n"
	if got, stats := filtered(t, &Filter{Symbols: &fake{}}, long); got != long || stats.Lines != 1 {
		t.Errorf("a long line was changed, or is %d", stats.Lines)
	}
	opened := 0
	r, w := io.Pipe()
	out := make(chan string, 4*maxHeld)
	go func() {
		f := Filter{Open: func(Identity) (Symbols, error) { opened++; return &fake{}, nil }}
		_, err := f.Copy(writer(func(b []byte) { out <- string(b) }), r)
		_ = r.CloseWithError(err)
		close(out)
	}()
	fmt.Fprint(w, " f+0x10/0x20\n")
	for range maxHeld {
		fmt.Fprint(w, "x\n")
	}
	if got := <-out; !strings.HasPrefix(got, " f+0x10/0x20 (zz/a.c:15)\nx\n") {
		t.Errorf("after %d lines: %q", maxHeld, got)
	}
	fmt.Fprint(w, "y\n")
	if got := <-out; got != "y\n" {
		t.Errorf("a line that waits for nothing: %q", got)
	}
	_ = w.Close()
	for range out {
	}
	if opened != 1 {
		t.Errorf("opened %d times", opened)
	}

	k := &fake{}
	filtered(t, &Filter{Symbols: k}, strings.Repeat(" f+0x10/0x20\n", 1000))
	if k.asked != 1 {
		t.Errorf("asked %d times for one place", k.asked)
	}
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestFilterTellsEach(t *testing.T) {
	var got []string
	slide := uint64(0xa000000)
	f := Filter{Symbols: &fake{}, Slide: &slide, Each: func(x Found) {
		got = append(got, fmt.Sprintf("%d %s 0x%x %d", x.Line, x.Text, x.Addr, len(x.Answer.Frames)))
	}}
	if _, err := f.Copy(nil, strings.NewReader("x\n g+0x10/0x20\n[<ffffffff8b000020>]\n h+0x1/0x2\n")); err != nil {
		t.Fatal(err)
	}
	want := "2 g+0x10/0x20 0xffffffff8b001010 3; 3 [<ffffffff8b000020>] 0xffffffff8b000020 1; 4 h+0x1/0x2 0x0 0"
	if g := strings.Join(got, "; "); g != want {
		t.Errorf("got  %s\nwant %s", g, want)
	}
}

// preparing is a fake that is told beforehand.
type preparing struct {
	fake
	told []string
}

func (k *preparing) Prepare(places []Place) {
	for _, p := range places {
		k.told = append(k.told, p.Symbol)
	}
}

// TestFilterPrepares: what is at hand is told beforehand, but not what is known, and not more than there is room for.
func TestFilterPrepares(t *testing.T) {
	k := &preparing{}
	first, second := " f+0x10/0x20\n [<ffffffff81000010>]\n g+0x1/0x2\n", " f+0x10/0x20\n g+0x2/0x3\n twin+0x1/0x2\n"
	in := io.MultiReader(strings.NewReader(first), strings.NewReader(second))
	var out bytes.Buffer
	if _, err := (&Filter{Symbols: k}).Copy(&out, in); err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprint(k.told); got != "[f g g twin]" {
		t.Errorf("told %s", got)
	}
	want, _ := filtered(t, &Filter{Symbols: &fake{}}, first+second)
	if out.String() != want {
		t.Errorf("got %q, without %q", out.String(), want)
	}
	k = &preparing{}
	filtered(t, &Filter{Symbols: k}, strings.Repeat(" f+0x10/0x20\n", 2*maxPrepared))
	if len(k.told) < maxPrepared || len(k.told) > maxPrepared+maxPlaces {
		t.Errorf("told %d", len(k.told))
	}
}

func TestFilterErrors(t *testing.T) {
	broken := errors.New("broken")
	var out bytes.Buffer
	if _, err := (&Filter{Symbols: &fake{}}).Copy(&out, io.MultiReader(strings.NewReader("a\nb"), iotest.ErrReader(broken))); !errors.Is(err, broken) || out.String() != "a\nb" {
		t.Errorf("%v, %q", err, out.String())
	}
	pr, pw := io.Pipe()
	_ = pr.CloseWithError(broken)
	if _, err := (&Filter{}).Copy(pw, strings.NewReader("a\n")); !errors.Is(err, broken) {
		t.Errorf("a full disk: %v", err)
	}
}

// added is what the fake's answers put into a text.
var added = regexp.MustCompile(`(?m)^[^\n]*\(zz/[^)\n]*\) \(inlined\)\r*\n| f\+0x[0-9a-f]+/0x10000 \(zz/[^)\n]*\)|( \((ambiguous: )?zz/[^)\n]*\))`)

// FuzzFilter: without what was added the text is what it was; a second time adds nothing; nothing to write with escapes.
func FuzzFilter(f *testing.F) {
	for _, s := range []string{
		"[    1.2] RIP: 0010:g+0x10/0x20 [x]\r\n ? twin+0x1/0x2\n", "IP 10:ffffffff8b000010\nRIP: 0010:f+0x10/0x10000\n [<ffffffff81000010>] f+0x10/0x20",
		"Linux version 6.1.0 (x)\n f+0x1/0x2\nCPU: 0 Comm: a Not tainted 6.2.0 #1\nKernel Offset: 0xa000000 from 0x\n[<ffffffff8b000010>]\n",
		"\r\r4,1,2,-; g+0x1/0x2", "host kernel: [<ffffffff81000010>] 0xffffffff81000010\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		if bytes.Contains(in, []byte("zz")) || bytes.Contains(in, []byte("/0x10000")) {
			return
		}
		for _, filter := range []*Filter{{}, {Symbols: &fake{}}, {Open: func(Identity) (Symbols, error) { return &fake{}, nil }}} {
			var once, twice bytes.Buffer
			if _, err := filter.Copy(&once, bytes.NewReader(in)); err != nil {
				t.Fatal(err)
			}
			if got := added.ReplaceAll(once.Bytes(), nil); !bytes.Equal(got, in) {
				t.Fatalf("%q\nbecame %q\nand without that %q", in, once.Bytes(), got)
			}
			if filter.Symbols == nil {
				continue
			}
			if _, err := filter.Copy(&twice, bytes.NewReader(once.Bytes())); err != nil {
				t.Fatal(err)
			}
			if !bytes.Equal(once.Bytes(), twice.Bytes()) {
				t.Fatalf("%q\nbecame %q\nand then %q", in, once.Bytes(), twice.Bytes())
			}
		}
	})
}

// BenchmarkFilter: a log of which one line in a hundred is of a trace.
func BenchmarkFilter(b *testing.B) {
	var in bytes.Buffer
	in.WriteString("[    0.000000] Linux version 6.1.0 (x)\n")
	for i := range 100000 {
		if i%100 == 0 {
			fmt.Fprintf(&in, "[%5d.123456][    T1]  ? g+0x%x/0x8000\n", i/100, i/100+1)
			continue
		}
		fmt.Fprintf(&in, "[%5d.%06d] pci 0000:00:%02x.0: reg 0x10: [mem 0xfebc0000-0xfebdffff pref]: BAR 6 assigned\n", i/100, i, i%32)
	}
	b.SetBytes(int64(in.Len()))
	b.ReportAllocs()
	for b.Loop() {
		f := Filter{Symbols: &fake{}}
		if _, err := f.Copy(io.Discard, bytes.NewReader(in.Bytes())); err != nil {
			b.Fatal(err)
		}
	}
}
