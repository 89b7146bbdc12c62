package main

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"kcatch/harness/report"
	"kcatch/harness/smoke"
	"kcatch/harness/verdict"
)

// smokeTalk is what a person sees of a smoke test while it runs: on a terminal a grid that is drawn in place, elsewhere a line for each
// stage of a build and for each cell that is done. --quiet leaves out both.
type smokeTalk struct {
	talk  *talk
	style report.Style
	now   func() time.Time
	begun time.Time

	mu      sync.Mutex
	grid    report.Grid
	ended   int
	counted time.Time // the last line of a count, off a terminal

	stop, stopped chan struct{} // nil where nothing is drawn
}

const (
	drawEvery  = 100 * time.Millisecond
	countEvery = 10 * time.Second // so that a CI log shows that something goes on
)

// newSmokeTalk begins the view; [smokeTalk.Close] ends it. known are the times of the cells by their names, as far as anybody knows; jobs
// is how many boots there are at a time, 0 when that is chosen later.
func newSmokeTalk(talk *talk, cells []smoke.Cell, known map[string]time.Duration, jobs int, noColor bool) *smokeTalk {
	s := &smokeTalk{talk: talk, now: time.Now, style: report.Style{Color: talk.terminal && !noColor && os.Getenv("NO_COLOR") == ""}}
	s.begun, s.grid.Jobs = s.now(), jobs
	for i := range cells {
		c := &cells[i]
		s.grid.Cells = append(s.grid.Cells, report.GridCell{Name: c.Name, Kernel: c.Kernel, Machine: c.Machine, Append: c.Append,
			Built: c.Plan.Build != nil, Known: known[c.Name].Seconds()})
	}
	if talk.terminal && !talk.quiet {
		s.stop, s.stopped = make(chan struct{}), make(chan struct{})
		go s.draw()
	}
	return s
}

// draw draws the grid as it is, until it is stopped: ten times a second, whatever happens meanwhile. The terminal's size is asked each time.
func (s *smokeTalk) draw() {
	defer close(s.stopped)
	tick := time.NewTicker(drawEvery)
	defer tick.Stop()
	for {
		width, height := s.talk.size()
		s.mu.Lock()
		lines := s.grid.Lines(s.since(), s.style, width-1, height-1)
		s.mu.Unlock()
		s.talk.show(lines)
		select {
		case <-tick.C:
		case <-s.stop:
			return
		}
	}
}

// Close ends the view and takes the grid away: the report follows.
func (s *smokeTalk) Close() {
	if s.stop != nil {
		close(s.stop)
		<-s.stopped
		s.stop = nil
	}
	s.talk.abandon()
}

func (s *smokeTalk) since() float64 { return s.now().Sub(s.begun).Seconds() }

// Listener feeds the view.
func (s *smokeTalk) Listener() smoke.Listener {
	if s.talk.quiet {
		return smoke.Listener{}
	}
	return smoke.Listener{Build: s.build, Begin: s.begin, Stage: s.stage, End: s.end, Say: s.talk.remark}
}

func (s *smokeTalk) build(kernel, stage, note string, done, total int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	fresh := s.grid.Build(s.since(), kernel, stage, note, done, total)
	if fresh || s.now().Sub(s.counted) >= countEvery {
		s.counted = s.now()
		s.plain(func() string {
			i := slices.IndexFunc(s.grid.Builds, func(b report.GridBuild) bool { return b.Kernel == kernel })
			return "build " + s.grid.Builds[i].Line(s.since())
		})
	}
}

func (s *smokeTalk) begin(c *smoke.Cell, attempt int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grid.Begin(s.since(), c.Name, attempt)
	if attempt > 1 {
		s.plain(func() string { return fmt.Sprintf("%s did not pass, boot %d begins", c.Name, attempt) })
	}
}

func (s *smokeTalk) stage(c *smoke.Cell, stage, _ string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grid.Stage(c.Name, stage)
}

func (s *smokeTalk) end(c *verdict.Cell) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.grid.End(c)
	s.ended++
	s.plain(func() string { return fmt.Sprintf("%d/%d  %s", s.ended, len(s.grid.Cells), report.SmokeCellLine(c)) })
}

// plain prints a line with the time since the begin, where there is no grid.
func (s *smokeTalk) plain(text func() string) {
	if !s.talk.terminal {
		s.talk.remark(fmt.Sprintf("%7s  %s", short(s.now().Sub(s.begun)), text()))
	}
}
