package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"kcatch/harness"
	"kcatch/harness/report"
)

// talk is what a person sees on standard error besides the result: the stages of a boot, as one moving line on a terminal
// and as a plain line for each elsewhere, and single lines. It counts its lines.
type talk struct {
	w        io.Writer
	terminal bool

	mu    sync.Mutex
	quiet bool // no stages, no remarks
	n     int
	stage string
	note  string
	since time.Time
	drawn []int // columns of each line that is drawn and will be drawn over; the cursor is at the end of the last
	last  time.Time
	lent  atomic.Bool  // the terminal is another program's
	tick  *time.Ticker // moves the line on a terminal; nil when none does
}

// tickEvery is how often the moving line shows the time of its stage.
const tickEvery = 250 * time.Millisecond

// move keeps the line of a stage moving until tick is stopped.
func (t *talk) move(tick *time.Ticker) {
	for range tick.C {
		t.mu.Lock()
		if t.tick == tick && t.stage != "" && time.Since(t.last) > tickEvery {
			t.draw(fmt.Sprintf("%-10s %s  %s", t.stage, t.note, short(time.Since(t.since))))
		}
		over := t.tick != tick
		t.mu.Unlock()
		if over {
			tick.Stop()
			return
		}
	}
}

func newTalk(w io.Writer, terminal bool) *talk { return &talk{w: w, terminal: terminal} }

// Write passes what cobra prints.
func (t *talk) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	t.n += bytes.Count(p, []byte("\n"))
	return t.w.Write(p)
}

// print prints a line that is never left out.
func (t *talk) print(line string) { fmt.Fprintln(t, line) }

// lend leaves the terminal, and Ctrl-C on it, to another program, or takes them back.
func (t *talk) lend(lent bool) { t.lent.Store(lent) }

// remark prints a line that --quiet leaves out.
func (t *talk) remark(line string) {
	if !t.quiet {
		t.print("kcatch: " + report.Clean(line, 0))
	}
}

// lines is how many lines there were so far.
func (t *talk) lines() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.n
}

func (t *talk) progress() harness.Progress {
	if t.quiet {
		return harness.Progress{}
	}
	return harness.Progress{Stage: t.begin, Step: t.step, Say: t.remark}
}

// begin ends the stage before with its time and starts the next.
func (t *talk) begin(stage, note string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finish()
	t.stage, t.note, t.since = stage, note, time.Now()
	if t.terminal {
		t.draw(fmt.Sprintf("%-10s %s", stage, note))
		t.tick = time.NewTicker(tickEvery)
		go t.move(t.tick)
	}
}

// step shows a count within the stage: on a terminal at most ten times a second, elsewhere not at all, but for a line
// every ten seconds so that a CI log shows that something goes on.
func (t *talk) step(stage string, done, total int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	every := 100 * time.Millisecond
	if !t.terminal {
		every = 10 * time.Second
		if t.last.IsZero() {
			t.last = time.Now()
		}
	}
	if time.Since(t.last) < every {
		return
	}
	t.last = time.Now()
	count := fmt.Sprint(done)
	if total > 0 {
		count = fmt.Sprintf("%d/%d", done, total)
	}
	text := fmt.Sprintf("%-10s %s %s  %s", stage, t.note, count, short(time.Since(t.since)))
	if t.terminal {
		t.draw(text)
		return
	}
	t.plain(strings.Join(strings.Fields(text), " "))
}

// done ends the last stage.
func (t *talk) done() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.finish()
}

// abandon forgets the stage that is under way: it did not end, something else did.
func (t *talk) abandon() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.clear()
	t.still()
	t.stage = ""
}

// still ends the moving line. The ticker runs once more after it, so that its goroutine sees the end.
func (t *talk) still() { t.tick = nil }

func (t *talk) finish() {
	t.clear()
	t.still()
	if t.stage != "" {
		t.plain(fmt.Sprintf("%-10s %6s  %s", t.stage, short(time.Since(t.since)), t.note))
	}
	t.stage, t.last = "", time.Time{}
}

func (t *talk) plain(text string) {
	t.n++
	fmt.Fprintf(t.w, "kcatch: %s\n", strings.TrimRight(report.Clean(text, 0), " "))
}

// draw puts text where the moving line is; it must not be wider than a terminal, or it would not be one line.
func (t *talk) draw(text string) {
	t.clear()
	line := []rune("kcatch: " + report.Clean(text, 0))
	line = line[:min(len(line), t.width()-1)]
	fmt.Fprint(t.w, string(line))
	t.drawn = []int{len(line)}
}

// show draws lines in the place of those that it drew before, in one write, so that nothing flickers. They may hold colours. That the
// terminal does not wrap (DECAWM, ECMA-48's and xterm's "?7") while they are drawn keeps each one line, also when it is narrower now or
// a character wider than it was counted.
func (t *talk) show(lines []string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	var b bytes.Buffer
	b.WriteString("\x1b[?7l" + home(t.drawn, t.width()))
	t.drawn = t.drawn[:0]
	for i, l := range lines {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(l + "\x1b[K")
		t.drawn = append(t.drawn, columns(l))
	}
	b.WriteString("\x1b[J\x1b[?7h")
	_, _ = t.w.Write(b.Bytes()) // nobody looks at a terminal that is gone
}

func (t *talk) width() int {
	w, _ := t.size()
	return w
}

// size is the terminal's as it is now, in columns and lines.
func (t *talk) size() (width, height int) {
	if f, ok := t.w.(*os.File); ok {
		if w, h, err := term.GetSize(int(f.Fd())); err == nil && w > 20 && h > 0 {
			return w, h
		}
	}
	return 80, 24
}

func (t *talk) clear() {
	if len(t.drawn) > 0 {
		fmt.Fprint(t.w, home(t.drawn, t.width())+"\x1b[K")
		if len(t.drawn) > 1 {
			fmt.Fprint(t.w, "\x1b[J")
		}
		t.drawn = nil
	}
}

// home takes the cursor from the end of lines that were drawn to the begin of the first. A terminal that became narrower since has wrapped
// those that it has no room for.
func home(drawn []int, width int) string {
	up := -1
	for _, n := range drawn {
		up += max(1, (n+width-1)/width)
	}
	if up > 0 {
		return fmt.Sprintf("\r\x1b[%dA", up)
	}
	return "\r"
}

// columns is how wide a line is on the screen: its colours take no room.
func columns(line string) int {
	n := 0
	for rest := line; rest != ""; {
		if i := strings.IndexByte(rest, 'm'); strings.HasPrefix(rest, "\x1b[") && i > 0 {
			rest = rest[i+1:]
			continue
		}
		_, size := utf8.DecodeRuneInString(rest)
		rest = rest[size:]
		n++
	}
	return n
}

func short(d time.Duration) string {
	if d < time.Second {
		return fmt.Sprintf("%dms", d.Milliseconds())
	}
	if d < time.Minute {
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
}
