package faults

import (
	"context"
	"os"
	"slices"
	"time"

	"kcatch/harness"
	"kcatch/harness/machine"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels/faults"
)

// Check refuses what cannot be run before anything is built or booted: a kernel that is not there, a tool that is missing.
func Check(ctx context.Context, list []faults.Fault, cache string) error {
	s, err := openStore(cache)
	if err != nil {
		return err
	}
	checked := map[string]bool{}
	for _, f := range list {
		if checked[f.On.Name] {
			continue
		}
		checked[f.On.Name] = true
		if err := s.check(ctx, f.On); err != nil {
			return err
		}
	}
	_, err = machine.FindQEMU("")
	return err
}

// Run boots the faults in their order, and tells each of every row as it is known. A kernel is built when the first fault
// on it comes; the others find it in the cache. p is told of the builds, and of each fault as a stage. What belongs to the fault alone (it does not build, the kernel could not be
// judged) makes a wrong row; an interrupt and what is wrong with this machine end the run, and what was counted before
// comes with the error. The artifacts of right ones are removed, those of wrong ones stay.
func Run(ctx context.Context, list []faults.Fault, cache string, p harness.Progress, each func(verdict.FaultRow)) (verdict.Faults, error) {
	all := verdict.Faults{Schema: verdict.FaultsSchema, Faults: []verdict.FaultRow{}}
	s, err := openStore(cache)
	if err != nil {
		return all, err
	}
	kernels := map[string]made{}
	for _, f := range grouped(list) {
		m, ok := kernels[f.On.Name]
		if !ok {
			m.files, m.err = s.files(ctx, f.On, p)
			kernels[f.On.Name] = m
		}
		row := verdict.FaultRow{Name: f.Name, Expected: Expected(f.Want), Got: "no verdict"}
		err := m.err
		if err == nil {
			if p.Stage != nil {
				p.Stage("fault", f.Name)
			}
			err = s.one(ctx, f, m.files, &row)
		}
		if err != nil && fatal(ctx, err) {
			all.NotRun = len(list) - len(all.Faults)
			return all, err
		}
		if err != nil {
			row.Right, row.Why = false, []string{err.Error()}
		}
		all.Add(row)
		if each != nil {
			each(row)
		}
	}
	return all, nil
}

// made is a kernel that was built or found, or why it was not: that is found out once.
type made struct {
	files Files
	err   error
}

// grouped puts faults on one kernel together, kernels in the order in which they come first.
func grouped(list []faults.Fault) []faults.Fault {
	first := map[string]int{}
	for i, f := range list {
		if _, ok := first[f.On.Name]; !ok {
			first[f.On.Name] = i
		}
	}
	out := slices.Clone(list)
	slices.SortStableFunc(out, func(a, b faults.Fault) int { return first[a.On.Name] - first[b.On.Name] })
	return out
}

// fatal reports whether an error ends the run: the next fault would meet it too.
func fatal(ctx context.Context, err error) bool {
	kind := blame.Of(err)
	return ctx.Err() != nil || kind == blame.Infrastructure || kind == blame.Interrupted
}

// Boot boots the plan of a fault, and asks who wrote what it died of where the fault says who did.
func Boot(ctx context.Context, f faults.Fault, plan harness.Plan) (verdict.Result, error) {
	if f.Want.Writer != "" {
		return harness.WhoWrote(ctx, plan, harness.Auto, harness.Progress{})
	}
	return harness.Boot(ctx, plan, harness.Progress{})
}

// one boots a fault and fills in its row.
func (s store) one(ctx context.Context, f faults.Fault, files Files, row *verdict.FaultRow) error {
	files, err := s.edited(f, files)
	if err != nil {
		return err
	}
	plan := Plan(f, files)
	plan.Cache = s.cache
	begin := time.Now()
	r, err := Boot(ctx, f, plan)
	row.Seconds = time.Since(begin).Seconds()
	if err != nil {
		return err
	}
	row.Got, row.Why = got(&r), Differences(f.Want, &r)
	row.Right = len(row.Why) == 0
	if row.Right {
		return os.RemoveAll(r.Artifacts.Dir)
	}
	row.Artifacts = r.Artifacts.Dir
	return nil
}
