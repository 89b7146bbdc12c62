package smoke

import (
	"slices"
	"sync"

	"kcatch/harness"
	"kcatch/harness/verdict"
)

// teller hands on to a listener, one call at a time.
type teller struct {
	mu   sync.Mutex
	to   Listener
	said []string
}

func (t *teller) locked(tell func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	tell()
}

// maxSaid bounds the remarks that are remembered, so that each is made once.
const maxSaid = 100

// say hands on a remark. What every boot has to say (which accelerator, and why) is said once.
func (t *teller) say(line string) {
	t.locked(func() {
		if t.to.Say == nil || slices.Contains(t.said, line) {
			return
		}
		if len(t.said) < maxSaid {
			t.said = append(t.said, line)
		}
		t.to.Say(line)
	})
}

func (t *teller) begin(c *Cell, n int) {
	t.locked(func() {
		if t.to.Begin != nil {
			t.to.Begin(c, n)
		}
	})
}

func (t *teller) end(c *verdict.Cell) {
	t.locked(func() {
		if t.to.End != nil {
			t.to.End(c)
		}
	})
}

// boot is what a boot of a cell tells.
func (t *teller) boot(c *Cell) harness.Progress {
	return harness.Progress{
		Say: t.say,
		Stage: func(stage, note string) {
			t.locked(func() {
				if t.to.Stage != nil {
					t.to.Stage(c, stage, note)
				}
			})
		},
	}
}

// build is what a build tells.
func (t *teller) build(kernel string) harness.Progress {
	note := ""
	tell := func(stage string, done, total int) {
		if t.to.Build != nil {
			t.to.Build(kernel, stage, note, done, total)
		}
	}
	return harness.Progress{
		Say:   t.say,
		Stage: func(stage, n string) { t.locked(func() { note = n; tell(stage, 0, 0) }) },
		Step:  func(stage string, done, total int) { t.locked(func() { tell(stage, done, total) }) },
	}
}
