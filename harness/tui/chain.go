package tui

import (
	"fmt"
	"slices"

	"kcatch/harness/verdict"
)

// chain is a backtrace that can be selected, as a thread is in gdb: of a vCPU, a task that waits, a writer, a warning.
type chain struct {
	name    string // "vCPU 0", for the bar; one column a character
	about   string // what there is to say of it
	frames  []verdict.Frame
	stopped string           // why it ends
	regs    *verdict.RegDump // of the vCPU; nil where there is none
	cause   bool             // the death is in it
}

// chains are those of a result: vCPUs, the tasks that are on none, who wrote, what was survived. There is at least one.
func chains(r *verdict.Result) []chain {
	var out []chain
	for _, c := range r.CPUs {
		out = append(out, chain{name: fmt.Sprintf("vCPU %d", c.CPU), about: shown(c.State), frames: c.Frames, stopped: shown(c.Stopped), regs: c.Regs})
	}
	for _, t := range r.Tasks {
		if t.CPU != nil {
			continue // its frames are its vCPU's
		}
		out = append(out, chain{name: fmt.Sprintf("task %d %s", t.PID, shown(t.Comm)), about: "state " + shown(t.State), frames: t.Frames})
	}
	for _, w := range r.WhoWrote {
		if len(w.Frames) > 0 {
			out = append(out, chain{name: "writer of " + shown(w.Expression), about: fmt.Sprintf("the last of %d: %s -> %s, in a boot of its own", w.Writers, w.Old, w.New),
				frames: w.Frames, stopped: shown(w.Stopped)})
		}
	}
	for i, w := range r.Warnings {
		if len(w.Frames) > 0 {
			out = append(out, chain{name: fmt.Sprintf("warning %d", i+1), about: shown(w.Summary), frames: w.Frames})
		}
	}
	if len(out) == 0 {
		out = []chain{{name: "no vCPU", about: "the result has no chain"}}
	}
	for i := range out {
		out[i].cause = i < len(r.CPUs) && slices.ContainsFunc(out[i].frames, isCause)
	}
	return out
}

func isCause(f verdict.Frame) bool { return f.Cause }

// first is the chain and the frame that a view begins with: those of the cause, else the innermost of the first.
func first(all []chain) (chain, frame int) {
	for i, c := range all {
		if c.cause {
			return i, slices.IndexFunc(c.frames, isCause)
		}
	}
	return 0, 0
}
