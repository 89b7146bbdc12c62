package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

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
	drawn bool
	last  time.Time
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
	fmt.Fprint(t.w, string(line[:min(len(line), t.width()-1)]))
	t.drawn = true
}

func (t *talk) width() int {
	if f, ok := t.w.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil && w > 20 {
			return w
		}
	}
	return 80
}

func (t *talk) clear() {
	if t.drawn {
		fmt.Fprint(t.w, "\r\x1b[K")
		t.drawn = false
	}
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
