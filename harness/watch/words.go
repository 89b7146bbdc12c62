package watch

import (
	"strings"
	"time"

	"kcatch/harness/verdict"
)

func (w *watch) readLog() {
	if w.log == nil {
		return
	}
	head, err := w.log.Head()
	if err != nil || head == w.logHead {
		return
	}
	grown := head - w.logHead
	w.logHead = head
	lines, err := w.log.Recent(recent(grown))
	w.tell(lines)
	w.logReads = err == nil && len(lines) > 0
	if w.heard(lines, time.Now()) || err != nil { // a record that cannot be read is one all the same
		w.progress()
	}
	for _, l := range lines {
		if !w.marker && w.in.Marker != "" && strings.Contains(l.Text, w.in.Marker) {
			w.sawMarker()
		}
		if l.User { // not the kernel's word
			continue
		}
		if w.panicAt.IsZero() && strings.HasPrefix(l.Text, panicText) { // a command line may have it, too
			w.panicAt = time.Now()
		}
		if w.initAt.IsZero() && w.in.Marker == "" && strings.Contains(l.Text, initText) {
			w.sawInit()
		}
	}
}

// How many records of the log are looked at after a change: all that are new, and some before them, of which the last ones may have
// grown. A change of more is no count of records: the kernel has changed to another ring, or it is the first look.
const (
	someRecords = 128
	mostRecords = 1 << 14
)

func recent(grown uint64) int {
	if grown > mostRecords {
		return someRecords
	}
	return someRecords + int(grown)
}

// tell hands on the records that are new and complete.
func (w *watch) tell(lines []Line) {
	if w.in.Heard == nil {
		return
	}
	var news []Line
	for _, l := range lines {
		if l.Seq < w.told {
			continue
		}
		if l.Open {
			break
		}
		w.told = l.Seq + 1
		news = append(news, l)
	}
	if len(news) > 0 {
		w.in.Heard(news, w.marks.before, w.ran(time.Since(w.start)))
	}
}

// lastWords hands on what came to the log between the last look and the end.
func (w *watch) lastWords() {
	if w.log == nil || w.in.Heard == nil {
		return
	}
	if head, err := w.log.Head(); err == nil {
		if lines, err := w.log.Recent(recent(head - w.logHead)); err == nil {
			w.tell(lines)
		}
	}
}

// initText is the end of what kernel_init says before it leaves for user space (init/main.c, run_init_process).
const initText = " as init process"

func (w *watch) sawInit() {
	w.initAt = time.Now()
	w.mark(verdict.MarkInit)
}

// panicText is what panic() prints before anything else (kernel/panic.c).
const panicText = "Kernel panic - not syncing"

func (w *watch) readConsole() {
	n := w.in.Console.Bytes()
	if n == w.bytes {
		return
	}
	if w.bytes == 0 {
		w.mark(verdict.MarkConsole)
	}
	w.bytes = n
	if time.Now().After(w.stall.console) {
		w.progress()
	}
	if !w.marker && w.in.Marker != "" && w.in.Console.Contains(w.in.Marker) {
		w.sawMarker()
	}
	if w.logReads {
		return // the log has all that the kernel says, and it tells user space's words from the kernel's
	}
	if w.panicAt.IsZero() && w.in.Console.Contains(panicText) {
		w.panicAt = time.Now()
	}
	if w.initAt.IsZero() && w.in.Marker == "" && w.in.Console.Contains(initText) {
		w.sawInit()
	}
}

func (w *watch) sawMarker() {
	w.marker = true
	w.mark(verdict.MarkInit)
}
