package harness

import (
	"context"
	"fmt"
	"strings"

	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/images"
	"kcatch/internal/blame"
)

// checkWorkload refuses a workload that there is not, or that cannot get into the guest.
func checkWorkload(plan Plan) error {
	if plan.Workload == "" {
		return nil
	}
	if plan.Initrd != "" {
		return blame.New(blame.Usage, "--initrd and --workload: only kcatch's own initramfs takes it", "leave one of them out")
	}
	return images.CheckWorkload(plan.Workload)
}

// helper builds the program that the plan's workload calls. One that cannot be built is no reason not to boot: its steps say
// that it is not there, and a note says why.
func (b *boot) helper(ctx context.Context) ([]byte, error) {
	if b.plan.Workload == "" {
		return nil, nil
	}
	data, err := images.BuildHelper(ctx)
	if err != nil && ctx.Err() == nil {
		b.helperErr = err
		return nil, nil
	}
	return data, err
}

// workload enters into the result what the guest told of its workload's steps. Its lines are records of the log; where that is
// not to be read, or has been written over, they are on the console.
func (b *boot) workload(r *verdict.Result) {
	if b.plan.Workload == "" || b.marker == "" {
		return
	}
	w := &verdict.Workload{Name: b.plan.Workload, Steps: []verdict.WorkloadStep{}}
	var steps []images.Step
	end := images.WorkloadLine(b.marker)
	read := func(line string) {
		steps = images.AddStep(steps, line)
		w.Ended = w.Ended || strings.Contains(line, end)
	}
	for line := range strings.Lines(string(b.machine.Console().Tail(workloadTail))) {
		read(line)
	}
	for _, l := range r.Log {
		read(l.Text)
	}
	count, absent, in := map[images.Outcome]int{}, []string{}, ""
	for _, s := range steps {
		note := report.Clean(s.Note, maxStepNote)
		w.Steps = append(w.Steps, verdict.WorkloadStep{Name: s.Name, Outcome: string(s.Outcome), Note: note})
		count[s.Outcome]++
		switch s.Outcome {
		case images.Absent:
			absent = append(absent, s.Name)
		case images.Failed:
			r.Notes = append(r.Notes, fmt.Sprintf("workload %s: step %s failed: %s", w.Name, s.Name, note))
		case images.Begun:
			in = s.Name
		}
	}
	r.Workload = w
	line := fmt.Sprintf("workload %s: %d steps ok", w.Name, count[images.OK])
	if n := count[images.Failed]; n > 0 {
		line += fmt.Sprintf(", %d failed", n)
	}
	if len(absent) > 0 {
		line += ", not there: " + strings.Join(absent, ", ")
	}
	switch {
	case w.Ended || len(steps) == 0 && r.Verdict == verdict.Bad: // it died before
	case r.Verdict == verdict.Bad && in != "":
		line += "; then the kernel died in step " + in
	default:
		r.Notes = append(r.Notes, "workload "+w.Name+" did not come to its end before the guest shut down")
	}
	if len(steps) > 0 {
		r.Details = append(r.Details, line)
	}
	if b.helperErr != nil {
		r.Notes = append(r.Notes, "the steps that need a program of their own were left out: "+b.helperErr.Error())
	}
}

const (
	workloadTail = 1 << 20 // bytes of the console that are looked through; a WARN's report is 3 KiB
	maxStepNote  = 160     // characters
)
