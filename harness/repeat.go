package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// Repeat builds once, boots the plan n times, and counts how the boots ended. p is told of the build and of the first boot;
// each of every boot. The artifacts of the first boot of each outcome stay; with Plan.Out they are in directories of their
// own in it. An error ends it: what was counted before comes with it, and says so in its Error.
func Repeat(ctx context.Context, plan Plan, n int, p Progress, each func(i int, r *verdict.Result)) (verdict.Repeated, error) {
	all := verdict.Repeated{Schema: verdict.RepeatSchema, Asked: n, Outcomes: []verdict.Outcome{}}
	built := &boot{plan: plan.whole(), progress: p}
	err := built.build(ctx)
	for i := 1; i <= n && err == nil; i++ {
		b := boot{plan: built.plan, built: built.built}
		if plan.Out != "" {
			b.plan.Out = filepath.Join(plan.Out, fmt.Sprintf("boot-%04d", i))
		}
		if i == 1 {
			b.progress, b.buildTime = p, built.buildTime
		}
		err = b.counted(ctx, &all, func(r *verdict.Result) {
			if each != nil {
				each(i, r)
			}
		})
		if err != nil && blame.Of(err) != blame.Interrupted {
			err = fmt.Errorf("boot %d of %d: %w", i, n, err)
		}
	}
	if err != nil {
		all.Error = reason(err)
	}
	return all, err
}

// counted boots once and adds the result to all.
func (b *boot) counted(ctx context.Context, all *verdict.Repeated, each func(r *verdict.Result)) error {
	r, err := b.run(ctx)
	if err != nil {
		return err
	}
	if !all.Add(r) {
		if err := os.RemoveAll(r.Artifacts.Dir); err != nil {
			return diskError("artifacts", err)
		}
	}
	each(&r)
	return nil
}
