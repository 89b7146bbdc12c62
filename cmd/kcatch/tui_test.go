package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/creack/pty"
	"golang.org/x/term"

	"kcatch/harness"
	"kcatch/harness/tui"
	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// grid is the other end of a pseudo terminal that a program draws on: cells, and the modes that it has to give back. It knows
// what the view writes and no more; anything else is an error.
type grid struct {
	t        *testing.T
	pty, tty *os.File
	before   *term.State
	flags    uintptr // of the open file, as O_NONBLOCK

	mu       sync.Mutex
	cells    [][]rune
	row, col int
	raw      []byte
	rest     string
	alt      bool
	hidden   bool
	keypad   bool
	nowrap   bool
	coloured bool // some text was not in the terminal's own colours
}

func newGrid(t *testing.T, width, height int) *grid {
	t.Helper()
	g := &grid{t: t}
	g.pty, g.tty = openTerminal(t, func(chunk string) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.raw = append(g.raw, chunk...)
		g.rest = stepwise(g.rest+chunk, g.step)
	})
	var err error
	if g.before, err = term.GetState(int(g.tty.Fd())); err != nil {
		t.Fatal(err)
	}
	g.flags = g.fileFlags()
	g.resize(width, height)
	return g
}

// fileFlags are those of the terminal's open file, which the program under test has, too.
func (g *grid) fileFlags() uintptr {
	conn, err := g.tty.SyscallConn() // Fd would set what is asked for
	if err != nil {
		g.t.Fatal(err)
	}
	var flags uintptr
	if err := conn.Control(func(fd uintptr) { flags, _, _ = syscall.Syscall(syscall.SYS_FCNTL, fd, syscall.F_GETFL, 0) }); err != nil {
		g.t.Error(err)
	}
	return flags
}

func (g *grid) resize(width, height int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.cells = make([][]rune, height)
	for i := range g.cells {
		g.cells[i] = []rune(strings.Repeat(" ", width))
	}
	if err := pty.Setsize(g.pty, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		g.t.Error(err)
	}
}

// step takes one character or sequence off data, and says how long it was; 0 when it is not complete.
func (g *grid) step(data string) int {
	switch data[0] {
	case '\r':
		g.col = 0
		return 1
	case '\n':
		g.row++
		return 1
	case '\t': // of a panic
		g.col += 8 - g.col%8
		return 1
	case '\x0e', '\x0f': // the other character set, for lines, and back
		return 1
	case 0x1b:
		if len(data) < 2 {
			return 0
		}
		switch data[1] {
		case '=', '>':
			g.keypad = data[1] == '='
			return 2
		case '(', ')':
			return min(3, len(data)/3*3)
		case ']':
			const noLink = "\x1b]8;;\x1b\\"
			switch {
			case strings.HasPrefix(data, noLink):
				return len(noLink)
			case strings.HasPrefix(noLink, data):
				return 0
			}
		case '[':
			end := strings.IndexFunc(data[2:], func(r rune) bool { return r >= '@' && r <= '~' })
			if end < 0 {
				return 0
			}
			g.sequence(data[2:end+2], data[end+2])
			return end + 3
		}
		g.t.Errorf("unknown escape: %q", data[:2])
		return 2
	}
	r := []rune(data)[0]
	if r == '\ufffd' {
		return 0 // the rest of it is not there yet
	}
	if r < ' ' {
		g.t.Errorf("control character %q", r)
	}
	if g.row < len(g.cells) && g.col < len(g.cells[g.row]) {
		g.cells[g.row][g.col] = r
	}
	g.col++
	return len(string(r))
}

func (g *grid) sequence(arg string, final byte) {
	switch {
	case final == 'H':
		g.row, g.col = 0, 0
		if y, x, ok := strings.Cut(arg, ";"); ok {
			g.row, _ = strconv.Atoi(y)
			g.col, _ = strconv.Atoi(x)
			g.row, g.col = g.row-1, g.col-1
		}
	case final == 'K': // of the moving line of a boot
		for i := g.col; g.row < len(g.cells) && i < len(g.cells[g.row]); i++ {
			g.cells[g.row][i] = ' '
		}
	case final == 'J':
		for _, row := range g.cells {
			for i := range row {
				row[i] = ' '
			}
		}
	case final == 'm':
		for _, n := range strings.Split(arg, ";") {
			g.coloured = g.coloured || len(n) >= 2
		}
	case final == 't' && (arg == "22;2" || arg == "23;2"):
	case final == 'h' || final == 'l':
		on := final == 'h'
		switch arg {
		case "?1049":
			g.alt = on
		case "?25":
			g.hidden = !on
		case "?7":
			g.nowrap = !on
		case "?1", "?1000", "?1002", "?1003", "?1006", "?1016", "?1004", "?2004", "?2026":
		default:
			g.t.Errorf("unknown mode: %s", arg)
		}
	default:
		g.t.Errorf("unknown sequence: %q", "\x1b["+arg+string(final))
	}
}

func (g *grid) text() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	var b strings.Builder
	for _, row := range g.cells {
		b.WriteString(strings.TrimRight(string(row), " ") + "\n")
	}
	return b.String()
}

// written is all that came so far, and whether any of it had a colour.
func (g *grid) written() (raw string, coloured bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return string(g.raw), g.coloured
}

// until waits until the screen shows a text.
func (g *grid) until(want string) {
	g.t.Helper()
	g.untilShown(want, func(text string) bool { return strings.Contains(text, want) })
}

func (g *grid) untilShown(what string, shown func(string) bool) {
	g.t.Helper()
	for deadline := time.Now().Add(patience); !shown(g.text()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			g.t.Fatalf("%s: not in %v:\n%s", what, patience, g.text())
		}
	}
}

func (g *grid) press(keys string) {
	g.t.Helper()
	if _, err := g.pty.WriteString(keys); err != nil {
		g.t.Fatal(err)
	}
}

// start runs a program on the terminal, as its session's leader.
func (g *grid) start(env []string, program string, args ...string) *exec.Cmd {
	g.t.Helper()
	cmd := exec.Command(program, args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = g.tty, g.tty, g.tty
	cmd.Env = append(append(os.Environ(), "TERM=xterm-256color", "COLORTERM=", "NO_COLOR=", "LC_ALL=C.UTF-8", "TCELL_ALTSCREEN=",
		"GORACE="+exitAtOnce), env...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		g.t.Fatal(err)
	}
	g.t.Cleanup(func() { _ = cmd.Process.Kill() }) // it has ended, if all went well
	return cmd
}

// ended waits for the program and checks that it gave the terminal back.
func (g *grid) ended(cmd *exec.Cmd, code int) {
	g.t.Helper()
	timer := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	err := cmd.Wait()
	timer.Stop()
	if got := cmd.ProcessState.ExitCode(); got != code {
		g.t.Errorf("exit code %d (%v), want %d", got, err, code)
	}
	g.untilShown("the screen that was there before", func(string) bool {
		g.mu.Lock()
		defer g.mu.Unlock()
		return !g.alt && !g.hidden && !g.keypad && !g.nowrap
	})
	if flags := g.fileFlags(); flags != g.flags {
		g.t.Errorf("the terminal's file has the flags %#x now, and had %#x", flags, g.flags)
	}
	after, err := term.GetState(int(g.tty.Fd()))
	if err != nil || !reflect.DeepEqual(after, g.before) {
		g.t.Errorf("the terminal's settings are others now: %+v, before %+v (%v)", after, g.before, err)
	}
}

// shows is a model's view as the terminal has it.
func shows(m tui.Model) string {
	var b strings.Builder
	for _, l := range m.View() {
		b.WriteString(strings.TrimRight(l.String(), " ") + "\n")
	}
	return b.String()
}

// savedSeed is a result that lies in a file.
const savedSeed = "../../harness/tui/testdata/seed-6.1.json"

func kcatchBinary(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("kcatch")
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// TestTUIOfARealDeath boots the seed and looks at its death, with the machine behind it: a frame up has the source as it was built, x
// gives the terminal to gdb and takes it back. Then the result that was saved is looked at, and the terminal shows what the model says,
// cell by cell, before and after it is another size.
func TestTUIOfARealDeath(t *testing.T) {
	t.Parallel()
	k := fixtures.Find(t, fixtures.Seed61)
	dir := t.TempDir()
	saved := filepath.Join(dir, "death.json")
	fake := "#!/bin/sh\necho gdb -q -x $(basename $3) has the terminal\nread line\n"
	if err := os.WriteFile(filepath.Join(dir, "gdb"), []byte(fake), 0o755); err != nil {
		t.Fatal(err)
	}
	g := newGrid(t, 80, 24)
	cmd := g.start([]string{"PATH=" + dir + ":" + os.Getenv("PATH")}, kcatchBinary(t), "debug", "--tui", "--kernel", k.BzImage, "--vmlinux", k.Vmlinux,
		"--accel", "tcg", "--out", filepath.Join(dir, "out"), "--json", saved)
	g.until("q leave")
	g.until(">   503          __SETPAGEFLAG(Reserved, reserved, PF_NO_COMPOUND)")
	g.press("u")
	g.until(">  6958                  __SetPageReserved(pfn_to_page(pfn));")
	g.press("x")
	g.until("gdb -q -x debug.gdb has the terminal")
	g.press("\r")
	g.until("back from gdb")
	g.until(">  6958                  __SetPageReserved(pfn_to_page(pfn));")
	g.press("q")
	g.ended(cmd, verdict.ExitGood)

	r, err := harness.ReadResult(saved)
	if err != nil {
		t.Fatal(err)
	}
	sources := harness.Sources(k.Vmlinux, "")
	read := func(m tui.Model) tui.Model {
		text, err := sources(m.Needs())
		return m.Read(m.Needs(), text, err)
	}
	m := read(tui.New(r).Resize(80, 24))
	g = newGrid(t, 80, 24)
	is := func(m tui.Model) {
		t.Helper()
		g.untilShown(shows(m), func(text string) bool { return text == shows(m) })
	}
	cmd = g.start(nil, kcatchBinary(t), "debug", "--tui", saved)
	is(m)
	g.press("u")
	m = read(m.Press("u"))
	is(m)
	g.until("__SetPageReserved(pfn_to_page(pfn));") // mm/page_alloc.c:6958
	g.resize(200, 50)
	m = m.Resize(200, 50)
	is(m)
	g.press("\x1b[Z\x1b[5~") // shift-tab, page up
	m = m.Press("backtab").Press("pgup")
	is(m)
	g.resize(19, 4)
	is(m.Resize(19, 4))
	g.resize(80, 24)
	is(m.Resize(80, 24))
	g.press("/paging_init\x7ft\rq") // what is typed is no key, the q behind it is
	g.ended(cmd, verdict.ExitGood)
}

// TestTUIGivesTheTerminalBack: however it ends.
func TestTUIGivesTheTerminalBack(t *testing.T) {
	for _, c := range []struct {
		name string
		end  func(*grid, *exec.Cmd)
		code int
	}{
		{"q", func(g *grid, _ *exec.Cmd) { g.press("q") }, verdict.ExitGood},
		{"ctrl-c", func(g *grid, _ *exec.Cmd) { g.press("\x03") }, verdict.ExitGood},
		{"ctrl-x a", func(g *grid, _ *exec.Cmd) { g.press("\x18a") }, verdict.ExitGood},
		{"SIGINT", func(_ *grid, c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGINT) }, verdict.ExitInterrupted},
		{"SIGHUP", func(_ *grid, c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGHUP) }, verdict.ExitInterrupted},
		{"SIGQUIT", func(_ *grid, c *exec.Cmd) { _ = c.Process.Signal(syscall.SIGQUIT) }, verdict.ExitInterrupted},
		{"SIGTERM three times", func(_ *grid, c *exec.Cmd) {
			for range 3 {
				_ = c.Process.Signal(syscall.SIGTERM)
			}
		}, verdict.ExitInterrupted},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGrid(t, 80, 24)
			cmd := g.start(nil, kcatchBinary(t), "debug", "--tui", savedSeed)
			g.until("q leave")
			c.end(g, cmd)
			g.ended(cmd, c.code)
		})
	}
	t.Run("panic", func(t *testing.T) {
		t.Parallel()
		g := newGrid(t, 80, 24)
		path, err := exec.LookPath("tui-panics")
		if err != nil {
			t.Fatal(err)
		}
		g.ended(g.start(nil, path), 2)
		g.until("panic: the source of a.c")
		if raw, _ := g.written(); !strings.Contains(raw, "\x1b[?1049h") {
			t.Errorf("the view was not there when it panicked: %q", raw)
		}
	})
}

// tuiPanics is a program whose view panics when it is drawn for the first time.
func tuiPanics() {
	r := verdict.Result{CPUs: []verdict.CPU{{Frames: []verdict.Frame{{File: "a.c"}}}}}
	_ = tui.Run(context.Background(), tui.New(&r), tui.Options{Source: func(file string) ([]byte, error) { panic("the source of " + file) }})
}

// TestTUIWithoutColours: neither NO_COLOR nor --no-color leaves one; a locale without UTF-8 gets ASCII.
func TestTUIWithoutColours(t *testing.T) {
	for _, c := range []struct {
		name    string
		env     []string
		args    []string
		colours bool
		ascii   bool
	}{
		{"colours", nil, nil, true, false},
		{"NO_COLOR", []string{"NO_COLOR=1"}, nil, false, false},
		{"--no-color", nil, []string{"--no-color"}, false, false},
		{"vt100", []string{"TERM=vt100"}, nil, false, false},
		{"C", []string{"LC_ALL=C"}, nil, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := newGrid(t, 80, 24)
			cmd := g.start(c.env, kcatchBinary(t), append([]string{"debug", "--tui", savedSeed}, c.args...)...)
			g.until("q leave")
			g.press("q")
			g.ended(cmd, verdict.ExitGood)
			raw, coloured := g.written()
			if coloured != c.colours {
				t.Errorf("colours %t, want %t: %q", coloured, c.colours, raw)
			}
			if ascii := !strings.ContainsFunc(raw, func(r rune) bool { return r > 0x7e }); ascii != c.ascii {
				t.Errorf("ASCII %t, want %t: %q", ascii, c.ascii, raw)
			}
		})
	}
}

// TestTUIOfHostileText: nothing that the guest wrote is an escape sequence on the terminal; one would be an error of the grid's.
func TestTUIOfHostileText(t *testing.T) {
	t.Parallel()
	const hostile = "\x1b]0;pwned\a\x1b[2J\u009b5n\u202e日e\u0301\x1bP1\x1b\\"
	frame := verdict.Frame{Function: hostile, File: hostile, Line: 1, Reason: hostile, Cause: true, Args: []verdict.Arg{{Name: hostile, Type: hostile, Value: hostile}}}
	r := verdict.Result{Schema: verdict.Schema, Verdict: verdict.Bad, Class: hostile, Summary: hostile, Notes: []string{hostile},
		CPUs: []verdict.CPU{{State: hostile, Stopped: hostile, Frames: []verdict.Frame{frame}}}, Tasks: []verdict.Task{{Comm: hostile, State: hostile}},
		Warnings: []verdict.Warning{{Summary: hostile}}, Log: []verdict.LogLine{{Text: hostile}}, Cause: &verdict.Cause{Instruction: hostile, Source: []verdict.SourceLine{{Line: 1, Text: hostile}}, SourceFile: hostile}}
	data, err := json.Marshal(&r)
	if err != nil {
		t.Fatal(err)
	}
	saved := filepath.Join(t.TempDir(), "hostile.json")
	if err := os.WriteFile(saved, data, 0o644); err != nil {
		t.Fatal(err)
	}
	g := newGrid(t, 200, 50)
	cmd := g.start(nil, kcatchBinary(t), "debug", "--tui", saved)
	m := tui.New(&r).Resize(200, 50).Read(hostile, nil, errors.New("source: which vmlinux it was is not known"))
	for _, key := range []tui.Key{"", "]", "!", "i", "?"} {
		g.press(string(key))
		m = m.Press(key)
		g.untilShown(shows(m), func(text string) bool { return text == shows(m) })
	}
	if !strings.Contains(shows(m.Press("x")), `\x1b]0;pwned\x07`) {
		t.Errorf("the text itself is not there:\n%s", shows(m.Press("x")))
	}
	g.press("qq")
	g.ended(cmd, verdict.ExitGood)
}

// TestTUIRefusesTerminals that cannot be drawn on, in one line and a hint, and touches nothing.
func TestTUIRefusesTerminals(t *testing.T) {
	for _, kind := range []string{"dumb", ""} {
		g := newGrid(t, 80, 24)
		g.ended(g.start([]string{"TERM=" + kind}, kcatchBinary(t), "debug", "--tui", savedSeed), verdict.ExitUsage)
		want := fmt.Sprintf("kcatch: --tui: this terminal cannot be drawn on (TERM=%s)\nhint: leave --tui out, or run it on a terminal\n", kind)
		g.untilShown(want, func(text string) bool { return strings.TrimRight(text, "\n") == strings.TrimRight(want, "\n") })
	}
}
