package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// often is a function that an ordinary boot of the tiny kernel calls once for each page of its 256 MiB: the survey takes its
// breakpoint out after a thousand calls and some.
const often = "__init_single_page"

// survey: goals 3 ms a stop, and three times an ordinary boot for one that looks at every WARN.
func (b *bench) survey(ctx context.Context) error {
	good, err := fixture(fixtures.Good61)
	if err != nil {
		return err
	}
	kernel := []string{"--kernel", good.BzImage, "--vmlinux", good.Vmlinux}
	var plain, timeline, warns, breaks, stop series
	for i := range b.n + 1 {
		p, _, err := b.good(ctx, "boot", kernel...)
		if err != nil {
			return err
		}
		t, _, err := b.good(ctx, "boot", append(kernel, "--timeline")...)
		if err != nil {
			return err
		}
		w, _, err := b.good(ctx, "survey", kernel...)
		if err != nil {
			return err
		}
		s, hits, err := b.good(ctx, "survey", append(kernel, "--break", often)...)
		if err != nil {
			return err
		}
		if hits < 1000 {
			return fmt.Errorf("%s was passed %d times", often, hits)
		}
		if i > 0 {
			timeline = append(timeline, t)
			plain, warns, breaks, stop = append(plain, p), append(warns, w), append(breaks, s), append(stop, (s-w)/float64(hits))
		}
	}
	b.table.add("good kernel: kcatch boot, power-on to init", "ms", plain)
	b.table.add("good kernel: kcatch boot --timeline, the same", "ms", timeline)
	b.table.add("good kernel: kcatch survey, the same", "ms", warns)
	b.table.add("good kernel: survey --break "+often+", the same", "ms", breaks)
	b.table.add("good kernel: of it, each stop", "ms", stop)
	b.table.want("survey: a stop", stop, 3, "ms")
	b.table.want("survey: its boot", warns, 3*plain.median(), "ms")
	return nil
}

// good is the time from power-on to init of a kernel that boots, in ms, and how often a survey stopped it.
func (b *bench) good(ctx context.Context, verb string, args ...string) (took float64, hits int, err error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	out := filepath.Join(b.dir, "out")
	file := filepath.Join(b.dir, "good.json")
	cmd := exec.CommandContext(ctx, b.kcatch, append([]string{verb, "--quiet", "--accel", "tcg", "--out", out, "--json", file}, args...)...)
	if said, err := cmd.CombinedOutput(); err != nil {
		return 0, 0, fmt.Errorf("kcatch %s: %w\n%s", verb, err, said)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	if verb == "survey" {
		var s verdict.Survey
		err = json.Unmarshal(data, &s)
		return 1000 * s.Boot.Timing.Boot, s.Hits, err
	}
	var r verdict.Result
	err = json.Unmarshal(data, &r)
	return 1000 * r.Timing.Boot, 0, err
}
