package main

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"kcatch/harness"
	"kcatch/harness/report"
)

// live shows the stages of a boot on standard error: one moving line on a terminal, a plain line per stage elsewhere.
type live struct {
	w        io.Writer
	terminal bool
	quiet    bool
	start    time.Time

	mu    sync.Mutex
	stage string
	note  string
	since time.Time
	drawn bool
	last  time.Time
}

func newLive(w io.Writer, terminal, quiet bool) *live {
	return &live{w: w, terminal: terminal, quiet: quiet, start: time.Now()}
}

func (l *live) progress() harness.Progress {
	if l.quiet {
		return harness.Progress{}
	}
	return harness.Progress{Stage: l.begin, Step: l.step, Say: l.say}
}

// begin ends the stage before with its time and starts the next.
func (l *live) begin(stage, note string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.finish()
	l.stage, l.note, l.since = stage, note, time.Now()
	if l.terminal {
		l.draw(fmt.Sprintf("%-10s %s", stage, note))
	}
}

// step shows a count within the stage: on a terminal at most ten times a second, elsewhere not at all, but for a line
// every ten seconds so that a CI log shows that something goes on.
func (l *live) step(stage string, done, total int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	every := 100 * time.Millisecond
	if !l.terminal {
		every = 10 * time.Second
		if l.last.IsZero() {
			l.last = time.Now()
		}
	}
	if time.Since(l.last) < every {
		return
	}
	l.last = time.Now()
	count := fmt.Sprint(done)
	if total > 0 {
		count = fmt.Sprintf("%d/%d", done, total)
	}
	text := fmt.Sprintf("%-10s %s %s  %s", stage, l.note, count, short(time.Since(l.since)))
	if l.terminal {
		l.draw(text)
		return
	}
	fmt.Fprintf(l.w, "kcatch: %s\n", strings.Join(strings.Fields(text), " "))
}

func (l *live) say(line string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.clear()
	fmt.Fprintf(l.w, "kcatch: %s\n", report.Clean(line, 0))
}

// done ends the last stage.
func (l *live) done() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.quiet {
		l.finish()
	}
}

func (l *live) finish() {
	l.clear()
	if l.stage != "" {
		fmt.Fprintf(l.w, "kcatch: %-10s %6s  %s\n", l.stage, short(time.Since(l.since)), report.Clean(l.note, 0))
	}
	l.stage, l.last = "", time.Time{}
}

func (l *live) draw(text string) {
	l.clear()
	fmt.Fprintf(l.w, "kcatch: %s", report.Clean(text, 100))
	l.drawn = true
}

func (l *live) clear() {
	if l.drawn {
		fmt.Fprint(l.w, "\r\x1b[K")
		l.drawn = false
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
