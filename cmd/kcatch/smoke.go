package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kcatch/configs"
	"kcatch/harness"
	"kcatch/harness/config"
	"kcatch/harness/report"
	"kcatch/harness/smoke"
	"kcatch/harness/verdict"
	"kcatch/images"
	"kcatch/internal/blame"
	"kcatch/internal/shell"
)

const smokeLong = `Boot a matrix of kernels, machines and command lines, judge each boot, and report it for people and for CI systems.

The matrix stands in a profile (--profile, a YAML file or a name; docs/smoke.md has its keys): smoke, the default, boots TREE
on q35 and microvm with one CPU and with two. TREE is as in "kcatch boot", and --kernel and --vmlinux can stand for it. A
flag that is boot's is for every cell; --append goes to the end of each command line.

Each kernel is built once; cells boot side by side while later kernels build. --list shows the cells, --only takes some,
--shard I/N one of N parts, for as many machines. A cell that fails is booted again --retries times: when it then passes it
is flaky, which is no pass.

Exit codes: 0 all passed, 1 some failed (or were flaky, without --allow-flaky), 125 some could not be tested, 129 usage,
130 interrupted, 131 infrastructure.`

const smokeExample = `  kcatch smoke ~/linux --html smoke.html
  kcatch smoke --profile ci/kernel.yaml --list
  kcatch smoke --profile ci/kernel.yaml --only 'stable/*' --retries 1
  kcatch smoke --shard 2/5 --json smoke.json --fail-fast
  kcatch smoke --baseline yesterday.json                only new deaths fail
  kcatch smoke --compare before.json after.json         what has become slower`

// sink is a report with its flag.
type sink struct {
	flag, usage string
	write       func(io.Writer, *verdict.Smoke) error
}

// smokeSinks are the reports of a smoke test. --json is boot's flag, too.
var smokeSinks = []sink{
	{"json", "write the result as JSON to `FILE`; - prints it alone on standard output", report.SmokeJSON},
	{"junit", "write JUnit XML to `FILE`", report.JUnit},
	{"ktap", "write KTAP to `FILE`, as the kernel's own tests do", report.SmokeKTAP},
	{"sarif", "write SARIF 2.1.0 to `FILE`, for code scanning", report.SARIF},
	{"html", "write one self-contained page to `FILE`", report.SmokeHTML},
	{"github", "write GitHub's annotations to `FILE`; - in a workflow", report.GitHub},
	{"markdown", "write a summary as Markdown to `FILE`", report.SmokeMarkdown},
}

// smokeFlags are the verb's own.
type smokeFlags struct {
	list, failFast, compare bool
	only, baseline          string
	shard                   smoke.Shard
	sinks                   map[string]string // flag to file
	repeat                  []string          // the words that do a cell again, but for its name
}

func smokeCommand(stdout io.Writer, talk *talk, code *int) *cobra.Command {
	var flags smokeFlags
	var shard string
	cmd := &cobra.Command{
		Use:     "smoke [TREE]",
		Short:   "boot a matrix of kernels and machines, for CI",
		Long:    smokeLong,
		Example: smokeExample,
		Args:    cobra.ArbitraryArgs,
	}
	fs := cmd.Flags()
	fs.BoolVar(&flags.list, "list", false, "name the cells, boot none")
	fs.StringVar(&flags.only, "only", "", "take the cells that this `GLOB` matches; its * crosses slashes")
	fs.StringVar(&shard, "shard", "", "take part I of N (`I/N`), for as many machines")
	fs.BoolVar(&flags.failFast, "fail-fast", false, "begin no cell after one that fails")
	fs.StringVar(&flags.baseline, "baseline", "", "only deaths that are not in this `FILE` fail: the JSON of an earlier run")
	fs.BoolVar(&flags.compare, "compare", false, "boot nothing: say what is slower in the second of two results, A and B")
	config.BindSmokeFlags(fs)
	for _, s := range smokeSinks {
		if fs.Lookup(s.flag) == nil {
			fs.String(s.flag, "", s.usage)
		}
	}
	completeSmoke(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		flags.sinks = map[string]string{}
		for _, s := range smokeSinks {
			if f := fs.Lookup(s.flag); f.Changed {
				flags.sinks[s.flag] = f.Value.String()
			}
		}
		var err error
		if flags.compare {
			*code, err = compareRuns(args, flags, fs, stdout)
			return err
		}
		if flags.shard, err = smoke.ParseShard(shard); err != nil {
			return err
		}
		cfg, resolved, err := config.ResolveSmoke(fs, os.LookupEnv, args, verdict.ClassNames())
		if err != nil {
			return err
		}
		if cfg.Boot.JSON != "" {
			flags.sinks["json"] = cfg.Boot.JSON // of the environment, too
		}
		flags.repeat = repeatWords(fs, args)
		introduce(talk, cfg.Boot, resolved)
		*code, err = runSmoke(cmd.Context(), cfg, flags, stdout, talk)
		return err
	}
	return cmd
}

// completeSmoke offers what the verb's flags take.
func completeSmoke(cmd *cobra.Command) {
	completeBoot(cmd, "only", "profile")
	_ = cmd.RegisterFlagCompletionFunc("profile", func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return beginning(configs.SmokeProfiles(), typed), andFiles
	})
	_ = cmd.RegisterFlagCompletionFunc("workload", cobra.FixedCompletions(images.Workloads(), wordsOnly))
	_ = cmd.RegisterFlagCompletionFunc("only", func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
		cfg, _, err := config.ResolveSmoke(cmd.Flags(), os.LookupEnv, args, verdict.ClassNames())
		if err != nil { // it is said when the verb runs
			return nil, wordsOnly
		}
		var names []string
		for _, c := range cfg.Cells {
			names = append(names, c.Name)
		}
		return beginning(names, typed), wordsOnly
	})
}

// notOfRepeat are the flags that a cell alone does not need: which cells, how many at a time, and where results go.
var notOfRepeat = []string{"list", "only", "shard", "jobs", "fail-fast", "keep", "json", "out", "quiet", "verbose", "no-color", "plain"}

// repeatWords are a command line that does the same again, up to the name of a cell.
func repeatWords(fs *pflag.FlagSet, args []string) []string {
	words := []string{"kcatch", "smoke"}
	fs.Visit(func(f *pflag.Flag) {
		if slices.Contains(notOfRepeat, f.Name) || slices.ContainsFunc(smokeSinks, func(s sink) bool { return s.flag == f.Name }) {
			return
		}
		if list, ok := f.Value.(pflag.SliceValue); ok {
			for _, v := range list.GetSlice() {
				words = append(words, shell.Word("--"+f.Name+"="+v))
			}
			return
		}
		words = append(words, shell.Word("--"+f.Name+"="+f.Value.String()))
	})
	for _, a := range args {
		words = append(words, shell.Word(a))
	}
	return words
}

// runSmoke is the verb: configuration → cells → smoke.Run → reports → exit code.
func runSmoke(ctx context.Context, cfg config.Smoke, flags smokeFlags, stdout io.Writer, talk *talk) (int, error) {
	if err := checkSinks(cfg, flags); err != nil {
		return 0, err
	}
	remembered := smoke.Durations()
	cells, err := cellsOf(cfg, flags)
	if err != nil {
		return 0, err
	}
	if cells, err = smoke.Select(cells, flags.only); err != nil {
		return 0, err
	}
	if flags.shard.Of > 0 {
		known, all := smoke.BaselineDurations(flags.baseline), len(cells)
		cells = flags.shard.Take(cells, known)
		talk.remark(fmt.Sprintf("shard %s: %d of %d cells, by %s", flags.shard, len(cells), all, smoke.ForShards(known)))
	}
	if flags.list {
		matrix := smoke.Matrix(cells, remembered)
		matrix.Profile, matrix.Shard = cfg.Boot.Profile, flags.shard.String()
		return verdict.ExitGood, listCells(&matrix, flags, styleOf(cfg.Boot, stdout), stdout)
	}
	req := smoke.Request{
		Cells: cells, Profile: cfg.Boot.Profile, Shard: flags.shard.String(), Jobs: cfg.Jobs, FailFast: flags.failFast, AllowFlaky: cfg.AllowFlaky,
		Baseline: flags.baseline, Out: cfg.Boot.Out, Keep: cfg.Keep,
	}
	for _, a := range cfg.Allow {
		req.Allow = append(req.Allow, verdict.Allow(a))
	}
	result, err := booted(ctx, req, cfg, remembered, talk)
	err = interrupted(ctx, err)
	if err != nil && result.Error == nil {
		result.Error = &verdict.Error{Message: err.Error(), Hint: blame.Hint(err)}
	}
	return result.ExitCode(), errors.Join(err, showSmoke(cfg, flags, &result, err != nil, stdout))
}

// booted boots the cells of a request. A shard may have none: there are more shards than cells.
func booted(ctx context.Context, req smoke.Request, cfg config.Smoke, remembered map[string]time.Duration, talk *talk) (verdict.Smoke, error) {
	none := verdict.Smoke{Schema: verdict.SmokeSchema, Cells: []verdict.Cell{}, Profile: req.Profile, Shard: req.Shard}
	if len(req.Cells) == 0 {
		return none, nil
	}
	if err := smoke.Check(ctx, req); err != nil {
		return none, err
	}
	view := newSmokeTalk(talk, req.Cells, remembered, req.Jobs, cfg.Boot.NoColor)
	defer view.Close()
	return smoke.Run(ctx, req, view.Listener())
}

// checkSinks refuses reports that cannot be written, before the minutes of a build: more than one on standard output, two in a file.
func checkSinks(cfg config.Smoke, flags smokeFlags) error {
	if flags.list {
		for _, s := range smokeSinks {
			if flags.sinks[s.flag] != "" && s.flag != "json" {
				return blame.New(blame.Usage, "--list and --"+s.flag+": only one of them", "--list names the cells and boots none; --json takes its list")
			}
		}
	}
	if err := checkOutputs(cfg.Boot.Out, ""); err != nil {
		return err
	}
	for i, s := range smokeSinks {
		name := flags.sinks[s.flag]
		if err := checkFile("--"+s.flag, name); err != nil {
			return err
		}
		for _, before := range smokeSinks[:i] {
			other := flags.sinks[before.flag]
			if name == "-" && other == "-" {
				return blame.New(blame.Usage, "--"+before.flag+" - and --"+s.flag+" -: standard output is one", "name a file for one of them")
			}
			if err := checkTwo("--"+before.flag, other, "--"+s.flag, name); err != nil {
				return err
			}
		}
	}
	return nil
}

// cellsOf makes the cells of a configuration. Paths become absolute, because they go into the artifacts.
func cellsOf(cfg config.Smoke, flags smokeFlags) ([]smoke.Cell, error) {
	var out []smoke.Cell
	for _, c := range cfg.Cells {
		plan, err := absolute(planFor(c.Boot))
		if err != nil {
			return nil, err
		}
		plan.Workload = c.Workload
		if plan.Checks, err = guestChecks(c.Checks); err != nil {
			return nil, err
		}
		out = append(out, smoke.Cell{
			Name: c.Name, Kernel: c.Kernel, Machine: c.Machine, Append: c.Append, Plan: plan, Expect: c.Boot.Expect, Retries: cfg.Retries,
			Repeat: strings.Join(append(slices.Clone(flags.repeat), "--only="+c.Name), " "),
		})
	}
	return out, nil
}

// maxScript bounds a check's script in bytes, as the guest does.
const maxScript = 1 << 20

// guestChecks reads the scripts of checks.
func guestChecks(checks []config.SmokeCheck) ([]harness.GuestCheck, error) {
	var out []harness.GuestCheck
	for _, c := range checks {
		g := harness.GuestCheck{Name: c.Name, Command: c.Run, Limit: c.Limit}
		if c.Script != "" {
			st, err := os.Stat(c.Script)
			if err == nil && (!st.Mode().IsRegular() || st.Size() == 0 || st.Size() > maxScript) {
				return nil, blame.New(blame.Usage, c.At+": script: "+c.Script+": not a file of 1 byte to 1 MiB", "")
			}
			if err == nil {
				g.Script, err = os.ReadFile(c.Script)
			}
			if err != nil {
				return nil, &blame.Error{Kind: blame.Usage, Msg: c.At + ": script: " + err.Error(), Err: err}
			}
		}
		out = append(out, g)
	}
	return out, nil
}

// listCells is --list.
func listCells(m *verdict.Matrix, flags smokeFlags, style report.Style, stdout io.Writer) error {
	to := flags.sinks["json"]
	if to != "" {
		if err := writeTo(to, stdout, func(w io.Writer) error { return report.SmokeListJSON(w, m) }); err != nil || to == "-" {
			return err
		}
	}
	return report.SmokeList(stdout, m, style)
}

// showSmoke writes the reports that were asked for, and the text where standard output is free. Of a run that was refused there is no
// text, only the JSON.
func showSmoke(cfg config.Smoke, flags smokeFlags, s *verdict.Smoke, failed bool, stdout io.Writer) error {
	var errs []error
	there := !failed || len(s.Cells) > 0
	text := there
	for _, sink := range smokeSinks {
		name := flags.sinks[sink.flag]
		if name == "" || !there && sink.flag != "json" {
			continue
		}
		errs = append(errs, writeFile("--"+sink.flag, name, stdout, func(w io.Writer) error { return sink.write(w, s) }))
		if name == "-" {
			text = false
		}
	}
	if text {
		errs = append(errs, report.SmokeText(stdout, s, styleOf(cfg.Boot, stdout)))
	}
	return errors.Join(errs...)
}
