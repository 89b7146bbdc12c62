package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"kcatch/harness"
	"kcatch/harness/config"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// repeat is --repeat N: boots again and again, and reports the distribution. A line on standard error says how each ended.
func repeat(ctx context.Context, cfg config.Boot, stdout io.Writer, talk *talk) (int, error) {
	code, err := turned(cfg)
	if err != nil {
		return 0, err
	}
	plan := planFor(cfg)
	if err := harness.Check(ctx, plan); err != nil {
		return 0, repeatFails(cfg, stdout, err)
	}
	if plan, err = absolute(plan); err != nil {
		return 0, err
	}
	all, err := harness.Repeat(ctx, plan, cfg.Repeat, talk.progress(), func(i int, r *verdict.Result) {
		talk.done()
		talk.remark(fmt.Sprintf("%d/%d  %s", i, cfg.Repeat, r.Summary))
	})
	err = interrupted(ctx, err)
	if cfg.JSON != "" {
		err = errors.Join(err, writeRepeat(cfg.JSON, stdout, &all))
	}
	if cfg.JSON != "-" && all.Boots > 0 {
		talk.abandon()
		err = errors.Join(err, report.RepeatText(stdout, &all, styleOf(cfg, stdout)))
	}
	if err != nil {
		return 0, err
	}
	if want := cfg.Expect + cfg.Only; want != "" { // config lets only one be set
		for _, o := range all.Outcomes {
			talk.remark(fmt.Sprintf("%s is asked for: %d of %d are %s: exit %d", want, o.Count, all.Boots, death(&o.Result), code(&o.Result)))
		}
	}
	return all.ExitCode(code), nil
}

// repeatFails says in the JSON that was asked for that nothing was booted, and why.
func repeatFails(cfg config.Boot, stdout io.Writer, err error) error {
	if cfg.JSON == "" {
		return err
	}
	none := verdict.Repeated{Schema: verdict.RepeatSchema, Asked: cfg.Repeat, Outcomes: []verdict.Outcome{},
		Error: &verdict.Error{Message: err.Error(), Hint: blame.Hint(err)}}
	return errors.Join(err, writeRepeat(cfg.JSON, stdout, &none))
}

func writeRepeat(to string, stdout io.Writer, r *verdict.Repeated) error {
	return writeTo(to, stdout, func(w io.Writer) error { return report.RepeatJSON(w, r) })
}
