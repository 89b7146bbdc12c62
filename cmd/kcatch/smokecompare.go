package main

import (
	"fmt"
	"io"
	"slices"

	"github.com/spf13/pflag"

	"kcatch/harness/config"
	"kcatch/harness/report"
	"kcatch/harness/smoke"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// compareRuns is --compare A B. What it finds is told, and is no failure: times are of the host, too.
func compareRuns(args []string, flags smokeFlags, fs *pflag.FlagSet, stdout io.Writer) (int, error) {
	if len(args) != 2 {
		return 0, blame.New(blame.Usage, fmt.Sprintf("--compare needs two results, and there are %d", len(args)), "kcatch smoke --compare before.json after.json")
	}
	var alien string
	fs.Visit(func(f *pflag.Flag) {
		if !slices.Contains([]string{"compare", "json", "html", "no-color", "plain", "quiet", "verbose"}, f.Name) && alien == "" {
			alien = f.Name
		}
	})
	if alien != "" {
		return 0, blame.New(blame.Usage, "--compare and --"+alien+": only one of them", "--compare boots nothing; it takes --json, --html and --no-color")
	}
	if err := checkSinks(config.Smoke{}, flags); err != nil {
		return 0, err
	}
	c, err := smoke.Compare(args[0], args[1])
	if err != nil {
		return 0, err
	}
	text := true
	for _, sink := range []struct {
		flag  string
		write func(io.Writer, *verdict.Comparison) error
	}{{"json", report.CompareJSON}, {"html", report.CompareHTML}} {
		to := flags.sinks[sink.flag]
		if to == "" {
			continue
		}
		if err := writeFile("--"+sink.flag, to, stdout, func(w io.Writer) error { return sink.write(w, &c) }); err != nil {
			return 0, err
		}
		text = text && to != "-"
	}
	if !text {
		return verdict.ExitGood, nil
	}
	set := func(name string) bool { return fs.Lookup(name).Changed }
	return verdict.ExitGood, report.CompareText(stdout, &c, styleOf(config.Boot{NoColor: set("no-color"), Plain: set("plain")}, stdout))
}
