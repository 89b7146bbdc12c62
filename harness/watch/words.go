package watch

import (
	"strings"
	"time"
)

func (w *watch) readLog() {
	if w.log == nil {
		return
	}
	head, err := w.log.Head()
	if err != nil || head == w.logHead {
		return
	}
	w.logHead = head
	lines, err := w.log.Recent()
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

// initText is the end of what kernel_init says before it leaves for user space (init/main.c, run_init_process).
const initText = " as init process"

func (w *watch) sawInit() {
	w.initAt = time.Now()
	w.mark("init")
}

// panicText is what panic() prints before anything else (kernel/panic.c).
const panicText = "Kernel panic - not syncing"

func (w *watch) readConsole() {
	n := w.in.Console.Bytes()
	if n == w.bytes {
		return
	}
	if w.bytes == 0 {
		w.mark("console")
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
	w.mark("init")
}
