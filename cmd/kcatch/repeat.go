package main

import (
	"context"
	"fmt"
	"io"

	"kcatch/harness"
	"kcatch/harness/config"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
)

// repeat is --repeat N: boots again and again, and reports the distribution. A line on standard error says how each ended.
func repeat(ctx context.Context, cfg config.Boot, stdout io.Writer, talk *talk) (int, error) {
	code, err := turned(cfg)
	if err != nil {
		return 0, err
	}
	plan := planFor(cfg)
	if err := harness.Check(ctx, plan); err != nil {
		return 0, err
	}
	if plan, err = absolute(plan); err != nil {
		return 0, err
	}
	all, err := harness.Repeat(ctx, plan, cfg.Repeat, talk.progress(), func(i int, r *verdict.Result) {
		talk.done()
		talk.remark(fmt.Sprintf("%d/%d  %s", i, cfg.Repeat, r.Summary))
	})
	if all.Boots > 0 {
		if cfg.JSON != "" {
			if werr := writeTo(cfg.JSON, stdout, func(w io.Writer) error { return report.RepeatJSON(w, &all) }); werr != nil {
				return 0, werr
			}
		}
		if cfg.JSON != "-" {
			if werr := report.RepeatText(stdout, &all, styleOf(cfg, stdout)); werr != nil {
				return 0, werr
			}
		}
	}
	if err != nil {
		return 0, err
	}
	return all.ExitCode(code), nil
}
