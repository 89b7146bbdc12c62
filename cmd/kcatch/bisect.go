package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"kcatch/harness/bisect"
	"kcatch/harness/config"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

const bisectLong = `Find the commit after which the boot dies, judged on the symbolized death itself: commits that die another death are
skipped, not called bad.

GOOD and BAD are revisions of the git repository in --tree (default: the working directory), which is only read: commits
are checked out into a private clone. All options of boot apply; patches are put on at every step, and a commit that
they do not fit is skipped. Paths after "--" leave out the commits that do not touch them.

A death that does not strike in every boot is booted as often as it takes. Every boot is written down at once: --resume
goes on after Ctrl-C, a crash or a reboot.

The plain way works too: git bisect run kcatch boot . --only CLASS:FUNCTION

Exit codes: 0 culprit found, 125 not determined, 1 the ends are not good and bad, 129 usage, 130 interrupted,
131 infrastructure.`

const bisectExample = `  kcatch bisect v6.1.1 v6.1.2 --tree ~/linux --patch pgflags-refcount
  kcatch bisect v6.11 v6.12 --first-parent --config kasan -- mm arch/x86
  kcatch bisect --fixed v6.12.3 v6.12                what ended the death
  kcatch bisect --configs good.config bad.config     which symbols the death hangs on
  kcatch bisect --resume                             go on with the last one`

// bisectFlags are the verb's own.
type bisectFlags struct {
	tree, replay    string
	treeGiven       bool
	resume, configs bool
}

func bisectCommand(stdout io.Writer, talk *talk, code *int) *cobra.Command {
	var flags bisectFlags
	cmd := &cobra.Command{
		Use:     "bisect GOOD BAD [-- PATH ...]",
		Short:   "find the commit after which the boot dies",
		Long:    bisectLong,
		Example: bisectExample,
		Args:    cobra.ArbitraryArgs,
	}
	fs := cmd.Flags()
	fs.StringVar(&flags.tree, "tree", ".", "the git repository: a `DIR` in it")
	fs.BoolVar(&flags.configs, "configs", false, "GOOD and BAD are .config files: find the symbols that the death hangs on")
	fs.BoolVar(&flags.resume, "resume", false, "go on with the last bisection of the tree, or with the one in --out")
	fs.StringVar(&flags.replay, "replay", "", "take the boots of this `LOG` first, and go on from there")
	config.BindBisectFlags(fs)
	for _, name := range notOfBisect {
		_ = fs.MarkHidden(name)
	}
	completeBoot(cmd)
	completeBisect(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		var paths []string
		if at := cmd.ArgsLenAtDash(); at >= 0 {
			args, paths = args[:at], args[at:]
		}
		set, resolved, err := config.ResolveBisect(cmd.Flags(), os.LookupEnv, verdict.ClassNames(), bisect.Matches())
		if err != nil {
			return err
		}
		for _, v := range resolved.Values {
			for _, name := range notOfBisect {
				if v.Key == name && v.Origin == "flag" {
					return blame.New(blame.Usage, "--"+name+": not of bisect", "leave it out; kcatch help bisect lists its flags")
				}
			}
			if v.Key == "tree" && v.Origin != "default" && !cmd.Flags().Changed("tree") {
				flags.tree = v.Value
			}
		}
		cfg := set.Boot
		introduce(talk, cfg, resolved)
		flags.treeGiven = cmd.Flags().Changed("tree")
		req, err := bisectRequest(set, flags, args, paths)
		if err != nil {
			return err
		}
		*code, err = runBisect(cmd.Context(), cfg, req, stdout, talk)
		return err
	}
	return cmd
}

// notOfBisect are the flags of boot that mean nothing here: there is no one kernel, and the verdicts decide nothing but the search.
var notOfBisect = []string{"kernel", "vmlinux", "boot-vmlinux", "modules", "repeat", "expect", "only", "who-wrote"}

func completeBisect(cmd *cobra.Command) {
	cmd.ValidArgsFunction = nil
	_ = cmd.RegisterFlagCompletionFunc("match", func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
		return beginning(bisect.Matches(), typed), wordsOnly
	})
	_ = cmd.RegisterFlagCompletionFunc("tree", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return nil, onlyDirs
	})
}

// bisectRequest checks the verb's own flags and arguments.
func bisectRequest(set config.Bisect, flags bisectFlags, args, paths []string) (bisect.Request, error) {
	var none bisect.Request
	refuse := func(msg, hint string) (bisect.Request, error) { return none, blame.New(blame.Usage, msg, hint) }
	cfg := set.Boot
	switch {
	case flags.resume && flags.replay != "":
		return refuse("--resume and --replay: only one of them", "--resume goes on with the last one; --replay takes another one's boots")
	case flags.resume && len(args)+len(paths) > 0:
		return refuse("--resume takes no revisions: they are in the log", "")
	case flags.configs && (cfg.Base != "tiny" || set.FirstParent || set.Fixed || len(set.PatchFix)+len(paths) > 0):
		return refuse("--configs goes without --base, --first-parent, --fixed, --patch-fix and paths", "the two files are the configurations; fragments of --config go on both")
	case flags.configs && !flags.resume && len(args) != 2:
		return refuse(fmt.Sprintf("--configs needs GOOD.config and BAD.config, and there are %d", len(args)), "kcatch bisect --configs good.config bad.config --tree ~/linux")
	case flags.resume, flags.replay != "" && len(args) == 0:
	case len(args) != 2:
		return refuse(fmt.Sprintf("bisect needs GOOD and BAD, and there are %d: %s", len(args), strings.Join(args, " ")), "kcatch bisect v6.1.1 v6.1.2 --tree ~/linux; paths come after --")
	}
	req := bisect.Request{
		Tree: flags.tree, Paths: paths, Match: bisect.Match(set.Match), Confidence: set.Confidence, Jobs: set.Jobs, FirstParent: set.FirstParent,
		Fixed: set.Fixed, Out: cfg.Out, Resume: flags.resume, Replay: flags.replay,
	}
	if len(args) == 2 {
		req.Good, req.Bad = args[0], args[1]
	}
	for _, f := range set.PatchFix {
		commit, file, _ := strings.Cut(f, ":")
		req.Fixes = append(req.Fixes, bisect.PatchFix{Commit: commit, File: lasting(file)})
	}
	plan := planFor(cfg)
	plan.Out = ""
	if flags.configs {
		if len(args) == 2 {
			req.Configs, req.Good, req.Bad = [2]string{lasting(args[0]), lasting(args[1])}, "", ""
		}
		if len(args) == 2 {
			plan.Build.Base = args[0]
		}
		plan.Build.Tree = cfg.Tree
		if flags.treeGiven {
			plan.Build.Tree = flags.tree
		}
	}
	for _, list := range [][]string{plan.Build.Patches, plan.Build.Fragments} {
		for i := range list {
			list[i] = lasting(list[i])
		}
	}
	plan.Build.Base = lasting(plan.Build.Base)
	var err error
	if req.Plan, err = absolute(plan); err != nil {
		return none, err
	}
	return req, nil
}

// lasting is a file's name in full, so that --resume finds it from another directory; what names no file stays.
func lasting(name string) string {
	if st, err := os.Stat(name); err != nil || !st.Mode().IsRegular() || !strings.ContainsAny(name, "/.") {
		return name
	}
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return name
}

// runBisect is the verb.
func runBisect(ctx context.Context, cfg config.Boot, req bisect.Request, stdout io.Writer, talk *talk) (int, error) {
	if err := checkOutputs(cfg.Out, cfg.JSON); err != nil {
		return 0, err
	}
	if cfg.DryRun {
		text, err := bisect.Preview(ctx, req)
		if err != nil {
			return 0, err
		}
		_, err = io.WriteString(stdout, text)
		return verdict.ExitGood, err
	}
	listener := bisect.Listener{Say: talk.remark, Step: func(s verdict.BisectStep) {
		talk.done()
		talk.remark(report.BisectStep(&s, report.Style{}))
	}}
	if cfg.Verbose || talk.terminal {
		listener.Progress = talk.progress()
	}
	res, err := bisect.Run(ctx, req, listener)
	talk.abandon()
	if err != nil && ctx.Err() != nil && blame.Of(err) != blame.Interrupted {
		err = &blame.Error{Kind: blame.Interrupted, Msg: "interrupted: " + err.Error(), Err: err, Hint: blame.Hint(err)}
	}
	if cfg.JSON != "" {
		err = errors.Join(err, writeTo(cfg.JSON, stdout, func(w io.Writer) error { return report.BisectJSON(w, &res) }))
	}
	if cfg.JSON != "-" && err == nil {
		err = report.BisectText(stdout, &res, styleOf(cfg, stdout))
	}
	return res.ExitCode(), err
}
