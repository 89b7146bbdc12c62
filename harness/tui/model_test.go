package tui

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

var update = flag.Bool("update", false, "write the golden files anew; read the difference before you commit it")

// seed is the result of a real boot, see testdata/README.md.
func seed(t testing.TB) *verdict.Result {
	t.Helper()
	data, err := os.ReadFile("testdata/seed-6.1.json")
	if err != nil {
		t.Fatal(err)
	}
	var r verdict.Result
	if err := json.Unmarshal(data, &r); err != nil {
		t.Fatal(err)
	}
	return &r
}

// hang is two vCPUs and a task, and text that a guest means ill with.
func hang() *verdict.Result {
	frame := func(name string, line int) verdict.Frame {
		return verdict.Frame{Function: name, File: "kernel/" + name + ".c", Line: line, PC: 0xffffffff81000000, FoundBy: "orc"}
	}
	spin := frame("spin", 70)
	spin.Cause = true
	spin.Args = []verdict.Arg{{Name: "lock", Type: "spinlock_t *", Value: "0xffff888001234567"}, {Name: "i", Type: "int", Value: "<optimized out>", Local: true}}
	on := 1
	at := uint64(2)
	return &verdict.Result{
		Verdict: verdict.Bad, Class: "hang", Summary: "hang: spin with interrupts off in spin()", Cause: &verdict.Cause{Function: "spin", Bug: &verdict.BugSite{Text: hostile}},
		CPUs: []verdict.CPU{
			{CPU: 0, State: "halted", Frames: []verdict.Frame{frame("native_halt", 1), frame("idle", 2)}},
			{CPU: 1, State: "running", Frames: []verdict.Frame{frame("native_pause", 5), spin, frame(hostile, 3)}, Regs: &verdict.RegDump{RIP: 0xffffffff81000123}},
		},
		Tasks:    []verdict.Task{{PID: 7, Comm: "spinner", CPU: &on}, {PID: 1, Comm: hostile, State: "D", Frames: []verdict.Frame{frame("wait", 9)}}},
		Warnings: []verdict.Warning{{Summary: "WARNING " + hostile, Frames: []verdict.Frame{frame("warner", 4)}}},
		Log: []verdict.LogLine{{Seq: 0, Level: 6, Text: "first"}, {Seq: 1, Level: 4, Text: "second\nits second line"},
			{Seq: 2, Level: 1, Text: "the death " + hostile}, {Seq: 3, Level: 6, Text: "later"}},
		LogAt: &at, Notes: []string{"a note"},
	}
}

// hostile is text that acts on a terminal, or is not as wide as it is long.
const hostile = "\x1b[2J\x1b]0;pwned\a\u009b31m\u202e日本e\u0301\r\n\t::error::x"

// press gives keys, one a word.
func press(m Model, keys string) Model {
	for _, k := range strings.Fields(keys) {
		if k == "space" {
			k = " "
		}
		m = m.Press(Key(k))
	}
	return m
}

// numberedFile is a source file of so many lines.
func numberedFile(lines int) []byte {
	var b bytes.Buffer
	for i := 1; i <= lines; i++ {
		fmt.Fprintf(&b, "\tline %d of the file;\tx\n", i)
	}
	return b.Bytes()
}

// withSource reads what the model asks for.
func withSource(m Model) Model { return m.Read(m.Needs(), sourceFile, nil) }

var sourceFile = numberedFile(9000)

func text(m Model) string {
	var b strings.Builder
	for _, l := range m.View() {
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	return b.String()
}

func TestGoldens(t *testing.T) {
	for _, c := range []struct {
		name          string
		result        func(testing.TB) *verdict.Result
		width, height int
		keys          string
	}{
		{"seed-80x24", seed, 80, 24, ""},
		{"seed-200x50", seed, 200, 50, ""},
		{"caller-80x24", seed, 80, 24, "u r"},
		{"caller-200x50", seed, 200, 50, "u u ]"},
		{"small-40x12", seed, 40, 12, ""},
		{"zoom-80x24", seed, 80, 24, "i ctrl-x 1"},
		{"help-80x40", seed, 80, 40, "?"},
		{"hang-80x24", func(testing.TB) *verdict.Result { return hang() }, 80, 24, "l"},
		{"hang-200x50", func(testing.TB) *verdict.Result { return hang() }, 200, 50, "] !"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := text(withSource(press(New(c.result(t)).Resize(c.width, c.height), c.keys)))
			path := filepath.Join("testdata", c.name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("%s differs; go test ./harness/tui -update writes it. got:\n%s\nwant:\n%s", path, got, want)
			}
		})
	}
}

// fits fails when the view is not as high as the terminal, wider than it, or has a character that is not one column wide.
func fits(t testing.TB, m Model) {
	t.Helper()
	lines := m.View()
	if len(lines) != m.height {
		t.Fatalf("%dx%d: %d lines", m.width, m.height, len(lines))
	}
	for i, l := range lines {
		if n := l.columns(); n > m.width {
			t.Fatalf("%dx%d: line %d has %d columns: %q", m.width, m.height, i, n, l)
		}
		for _, r := range l.String() {
			if r < ' ' || !narrow(r) {
				t.Fatalf("%dx%d: line %d has %q: %q", m.width, m.height, i, r, l)
			}
		}
	}
}

func allKeys() []Key {
	keys := []Key{prefix, "1", "2", "a", "x", "enter", "esc", "backspace", "", "日"}
	for _, b := range bindings() {
		keys = append(keys, b.keys...)
	}
	return keys
}

// TestEveryKeyEverySize: the view fits whatever is pressed, at sizes around each bound of the layouts.
func TestEveryKeyEverySize(t *testing.T) {
	sizes := [][2]int{{0, 0}, {1, 1}, {19, 4}, {20, 5}, {20, 6}, {59, 16}, {60, 15}, {60, 16}, {80, 24}, {119, 40}, {120, 29}, {120, 30}, {200, 50}, {400, 8}, {20, 200}}
	for _, r := range []*verdict.Result{seed(t), hang(), {}, {CPUs: []verdict.CPU{{}}}} {
		for _, size := range sizes {
			m := New(r).Resize(size[0], size[1])
			fits(t, m)
			for _, k := range allKeys() {
				if m = m.Press(k); m.Needs() != "" {
					m = m.Read(m.Needs(), sourceFile[:2000], nil)
				}
				fits(t, m)
			}
		}
	}
}

func FuzzModel(f *testing.F) {
	f.Add("mm/x.c", hostile, []byte("ud[]\x00\x01/an\n"), 80, 24)
	f.Add("", "", []byte{}, 0, 0)
	f.Fuzz(func(t *testing.T, name, text string, keys []byte, width, height int) {
		r := hang()
		fr := &r.CPUs[1].Frames[1]
		fr.Function, fr.File, fr.Line, fr.Reason = text, name, len(keys), text
		r.Summary, r.Cause.Instruction, r.Log[1].Text = text, text, text
		m := New(r).Resize(width%300, height%100)
		all := allKeys()
		for _, k := range keys[:min(len(keys), 40)] {
			key := Key(rune(k))
			if int(k) < len(all) {
				key = all[k]
			}
			if m = m.Press(key); m.Needs() != "" {
				m = m.Read(m.Needs(), []byte(text), nil)
			}
			fits(t, m)
		}
		fits(t, m)
	})
}

// FuzzResult: whatever a file has for a result, it can be looked at.
func FuzzResult(f *testing.F) {
	data, err := json.Marshal(hang())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"cause":{"source":[{"line":-1}],"source_file":"a"},"cpus":[{"cpu":-1,"frames":[{"file":"a","line":-1,"cause":true,"repeat":{"left_out":-9},"exception":{"vector":-1}}]}]}`))
	f.Add([]byte(`{"log":[{"time":-1e300,"text":""}],"log_at":0,"tasks":[{"frames":null}],"who_wrote":[{}],"warnings":[{"frames":[{}]}]}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		var r verdict.Result
		if json.Unmarshal(data, &r) != nil {
			return
		}
		m := New(&r).Resize(100, 30)
		for _, k := range allKeys() {
			if m = m.Press(k); m.Needs() != "" {
				m = m.Read(m.Needs(), nil, errors.New("none"))
			}
			fits(t, m)
		}
	})
}

// TestFramesAsInGDB: u goes to the caller and d back, source and values follow, and the ends are told.
func TestFramesAsInGDB(t *testing.T) {
	m := New(seed(t)).Resize(200, 50)
	if f := m.selected(); f == nil || !f.Cause || f.Function != "__SetPageReserved" {
		t.Fatalf("begins at %+v", f)
	}
	if m.Needs() != "include/linux/page-flags.h" {
		t.Errorf("needs %q", m.Needs())
	}
	m = withSource(press(m, "u u"))
	if f := m.selected(); f.Function != "memmap_init_zone_range" || !strings.Contains(text(m), fmt.Sprintf("> %5d          line %d of", f.Line, f.Line)) {
		t.Errorf("two up: %s\n%s", f.Function, text(m))
	}
	m = press(m, "d")
	if f := m.selected(); f.Function != "init_unavailable_range" {
		t.Errorf("one down: %s", f.Function)
	}
	m = press(m, strings.Repeat("d ", 50))
	if f := m.selected(); f.Function != "halt" || !strings.Contains(text(m), "cannot go down") {
		t.Errorf("at the bottom: %s\n%s", f.Function, text(m))
	}
	m = press(m, strings.Repeat("u ", 50))
	if !strings.Contains(text(m), "cannot go up") || m.frame != len(m.chains[m.chain].frames)-1 {
		t.Errorf("at the top: frame %d\n%s", m.frame, text(m))
	}
	if m = press(m, "."); !m.selected().Cause {
		t.Errorf("back at the cause: %+v", m.selected())
	}
}

// TestThreads: vCPUs, then tasks that are on none, then warnings, around; registers are the vCPU's.
func TestThreads(t *testing.T) {
	m := New(hang()).Resize(120, 40)
	var names []string
	for range m.chains {
		names = append(names, m.chains[m.chain].name)
		m = press(m, "]")
	}
	if want := []string{"vCPU 1", "task 1 " + shown(hostile), "warning 1", "vCPU 0"}; !slices.Equal(names, want) {
		t.Errorf("threads %q, want %q", names, want)
	}
	if !strings.Contains(text(m), "rip    0xffffffff81000123") {
		t.Errorf("no registers of vCPU 1:\n%s", text(m))
	}
	if m = press(m, "["); m.chains[m.chain].name != "vCPU 0" || !strings.Contains(text(m), "no registers") {
		t.Errorf("thread before:\n%s", text(m))
	}
}

// TestLogBeginsAtTheDeath: what came after it is there, below.
func TestLogBeginsAtTheDeath(t *testing.T) {
	r := hang()
	for i := range 10 {
		r.Log = append([]verdict.LogLine{{Text: fmt.Sprintf("before %d", i)}}, r.Log...)
	}
	for i := range uint64(100) {
		r.Log = append(r.Log, verdict.LogLine{Seq: 4 + i, Text: fmt.Sprintf("after %d", i)})
	}
	m := press(New(r).Resize(80, 24), "l")
	if got := text(m); !strings.Contains(got, "the death") || strings.Contains(got, "later") {
		t.Errorf("at first:\n%s", got)
	}
	if got := text(press(m, "end")); !strings.Contains(got, "after 99") || strings.Contains(got, "the death") {
		t.Errorf("at the end:\n%s", got)
	}
	if got := text(press(m, "end pgdn pgdn up down")); !strings.Contains(got, "after 99") {
		t.Errorf("beyond the end:\n%s", got)
	}
}

func TestSearch(t *testing.T) {
	m := press(New(seed(t)).Resize(80, 24), "l / K E R N E L space B U x backspace G enter")
	if m.asking || m.search != "KERNEL BUG" {
		t.Fatalf("typed: %q", m.search)
	}
	if got := text(m); !strings.Contains(got, "kernel BUG at") {
		t.Errorf("not found:\n%s", got)
	}
	if m.found < 0 || !strings.Contains(m.log[m.found].String(), "kernel BUG at") {
		t.Errorf("found line %d", m.found)
	}
	if got := text(press(m, "/ q q q enter")); !strings.Contains(got, "not in log: qqq") {
		t.Errorf("found what is not there:\n%s", got)
	}
	for _, cancel := range []string{"/ esc", "/ a b ctrl-c", "/ backspace"} {
		if n := press(m, cancel); n.asking || n.search != m.search || n.Over() {
			t.Errorf("%s: asking %t, search %q, over %t", cancel, n.asking, n.search, n.Over())
		}
	}
}

// TestLeaving: by gdb's keys, but not by what is typed into a search.
func TestLeaving(t *testing.T) {
	m := New(seed(t)).Resize(80, 24)
	for _, keys := range []string{"q", "ctrl-c", "ctrl-d", "ctrl-x a", "ctrl-x ctrl-a", "? q", "/ q enter q"} {
		if !press(m, keys).Over() {
			t.Errorf("%s does not leave", keys)
		}
	}
	for _, keys := range []string{"", "/ q", "? x", "ctrl-x q", "ctrl-x 1", "esc"} {
		if press(m, keys).Over() {
			t.Errorf("%q leaves", keys)
		}
	}
}

// TestWindows: Tab goes through all panes and each is seen then; ctrl-x 1 and 2 are one window and all.
func TestWindows(t *testing.T) {
	for _, size := range [][2]int{{40, 12}, {80, 24}, {200, 50}} {
		m := New(seed(t)).Resize(size[0], size[1])
		for range panes {
			m = press(m, "tab")
			a, ok := m.areaOf(m.focus)
			if !ok || m.front(a) != m.focus {
				t.Errorf("%v: %s is not in front", size, m.focus)
			}
		}
		if m.focus != paneFrames {
			t.Errorf("%v: ends at %s", size, m.focus)
		}
		if n := len(press(m, "ctrl-x 1").areas()); n != 1 {
			t.Errorf("%v: ctrl-x 1 leaves %d windows", size, n)
		}
	}
	if m := press(New(seed(t)).Resize(200, 50), "ctrl-x 1 ctrl-x 2"); len(m.areas()) != 5 {
		t.Errorf("ctrl-x 2: %d windows", len(m.areas()))
	}
}

// TestAreasFillTheTerminal: every layout covers each of its cells once, but for the rule between two windows.
func TestAreasFillTheTerminal(t *testing.T) {
	for width := leastWidth; width < 220; width += 7 {
		for height := leastHeight; height < 70; height += 3 {
			cells := 0
			for _, a := range layout(width, height, false) {
				if a.h < 2 || a.w < leastWidth {
					t.Errorf("%dx%d: %v is too small to show anything", width, height, a)
				}
				cells += a.w * a.h
			}
			want := width * (height - around)
			if width >= wideWidth && height >= wideHeight {
				want -= height - around
			}
			if cells != want {
				t.Errorf("%dx%d: %d cells, want %d", width, height, cells, want)
			}
		}
	}
}

// TestSourceThatIsNotThere: the view says why, and shows what the result has of it.
func TestSourceThatIsNotThere(t *testing.T) {
	m := press(New(seed(t)).Resize(80, 24), "u") // where the result has lines of its own
	for _, c := range []struct {
		text []byte
		err  error
		want []string
	}{
		{nil, errors.New("open \x1b[2J: no such file"), []string{`no source: open \x1b[2J: no such file`, "what the result itself has", ">  6958  "}},
		{[]byte("one line\n"), nil, []string{"the file has 1 lines, the frame is at 6958"}},
		{make([]byte, maxFile+1), nil, []string{"too large for a source file"}},
	} {
		got := text(m.Read(m.Needs(), c.text, c.err))
		for _, want := range c.want {
			if !strings.Contains(got, want) {
				t.Errorf("no %q in:\n%s", want, got)
			}
		}
	}
	if m.Needs() != "mm/page_alloc.c" {
		t.Errorf("reading has changed the model before: needs %q", m.Needs())
	}
}

func TestWindowOfALine(t *testing.T) {
	l := Line{{"abc", Plain}, {"defg", Strong}}
	for _, c := range []struct {
		from, width int
		want        string
	}{{0, 7, "abcdefg"}, {0, 9, "abcdefg"}, {0, 4, "abc…"}, {1, 6, "…cdefg"}, {2, 3, "…d…"}, {7, 3, "…"}, {0, 0, ""}, {0, 1, "…"}} {
		if got := l.window(c.from, c.width).String(); got != c.want {
			t.Errorf("window(%d, %d) = %q, want %q", c.from, c.width, got, c.want)
		}
	}
	if l.String() != "abcdefg" {
		t.Errorf("the line itself has become %q", l)
	}
}

func TestTabsOfSource(t *testing.T) {
	for in, want := range map[string]string{"\tx": "        x", "ab\tc\r": "ab      c", "\t\t": "                ", "12345678\t9": "12345678        9", "\x1b[m\t日": `\x1b[m  \u65e5`} {
		if got := sourceText(in); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

// TestGdb: where a machine stands it is asked for, and after it the view says what became of the machine.
func TestGdb(t *testing.T) {
	m := New(seed(t)).Resize(80, 24)
	if n := press(m, "x"); n.WantsGdb() || !strings.Contains(text(n), "no machine stands behind this") {
		t.Errorf("without a machine:\n%s", text(n))
	}
	m = press(m.WithMachine(true), "x")
	if !m.WantsGdb() {
		t.Error("x does not ask for gdb")
	}
	if n := m.GdbLeft(true, nil); n.WantsGdb() || !strings.Contains(text(n), "back from gdb") || !press(n, "x").WantsGdb() {
		t.Errorf("after gdb:\n%s", text(n))
	}
	if n := m.GdbLeft(false, nil); !strings.Contains(text(n), "the machine has ended") || press(n, "x").WantsGdb() {
		t.Errorf("after a kill:\n%s", text(n))
	}
	if n := m.GdbLeft(true, errors.New("\x1b[2J failed")); !strings.Contains(text(n), `\x1b[2J failed`) {
		t.Errorf("after an error:\n%s", text(n))
	}
}
