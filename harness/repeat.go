package harness

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"kcatch/harness/verdict"
)

// Repeat boots the plan n times and counts how the boots ended. p is told of the first boot, which may build; each of every
// boot. The artifacts of the first
// boot of each outcome stay; with Plan.Out they are in directories of their own in it. An error ends it: what was counted
// before comes with it.
func Repeat(ctx context.Context, plan Plan, n int, p Progress, each func(i int, r *verdict.Result)) (verdict.Repeated, error) {
	var all verdict.Repeated
	out := plan.Out
	for i := 1; i <= n; i++ {
		if out != "" {
			plan.Out = filepath.Join(out, fmt.Sprintf("boot-%04d", i))
		}
		r, err := Boot(ctx, plan, p)
		p = Progress{}
		if err != nil {
			return all, fmt.Errorf("boot %d of %d: %w", i, n, err)
		}
		if !all.Add(r) {
			if err := os.RemoveAll(r.Artifacts.Dir); err != nil {
				return all, diskError("artifacts", err)
			}
		}
		if each != nil {
			each(i, &r)
		}
	}
	return all, nil
}
