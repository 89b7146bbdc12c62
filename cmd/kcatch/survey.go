package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kcatch/harness/config"
	"kcatch/harness/report"
	"kcatch/harness/survey"
	"kcatch/harness/verdict"
	"kcatch/images"
	"kcatch/internal/blame"
)

const surveyLong = `Boot a kernel once and list every place that warns in it, instead of stopping at the first; with --break, every place that
comes to a function or a line. Each distinct chain is recorded at its first passing, and counted.

A site is the place in the source, outside of headers, that somebody would look at: of a WARN the code that its condition
stands in, or that the header's function with the condition is inlined into; of a function the calls of it. Warnings are seen
from the early IDT on, breaks from the first C function that runs at its own address. A function is broken at wherever it is
inlined, too; a line at each copy of its code.

A point that is hit all the time is taken out when its last 1000 hits have shown nothing new; its counts are then marked as
"at least" (1001+). --limit N changes that.

TREE and the other flags are those of "kcatch boot".

Exit codes: 0 the boot was good, whatever was found; 1 it was bad; 125 cannot be tested, 129 usage, 130 interrupted,
131 infrastructure.`

const surveyExample = `  kcatch survey --patch pgflags-refcount-warn --workload memory     every site that violates the assertion
  kcatch survey ~/linux --run 'ls -R /' --csv sites.csv             what warns while a command runs
  kcatch survey debian-6.1 --break __SetPageReserved --break mm/page_alloc.c:6958
  kcatch survey --break call_rcu --json - | jq '.sites[] | [.count, .function, .file, .line]'`

// surveyFlags are the verb's own.
type surveyFlags struct {
	breaks   []string
	csv      string
	limit    int
	workload string
}

func surveyCommand(stdout io.Writer, talk *talk, code *int) *cobra.Command {
	var flags surveyFlags
	cmd := &cobra.Command{
		Use:     "survey [TREE]",
		Short:   "every place that warns, or is passed, in one boot",
		Long:    surveyLong,
		Example: surveyExample,
		Args:    cobra.ArbitraryArgs,
	}
	fs := cmd.Flags()
	config.BindBootFlags(fs)
	fs.StringVar(&flags.workload, "workload", "", "give the guest this `NAME` of work to do once init is up: "+strings.Join(images.Workloads(), ", "))
	fs.StringArrayVar(&flags.breaks, "break", nil, "record every passing of this `FUNCTION|FILE:LINE` too; may be repeated")
	fs.StringVar(&flags.csv, "csv", "", "write the distinct chains as comma-separated values to `FILE`")
	fs.IntVar(&flags.limit, "limit", survey.DefaultLimit, "take a point out after `N` hits that show nothing new")
	completeBoot(cmd)
	_ = cmd.RegisterFlagCompletionFunc("workload", cobra.FixedCompletions(images.Workloads(), cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, resolved, err := config.ResolveBoot(fs, os.LookupEnv, args, verdict.ClassNames())
		if err != nil {
			return err
		}
		introduce(talk, cfg, resolved)
		*code, err = runSurvey(cmd.Context(), cfg, flags, stdout, talk)
		return err
	}
	return cmd
}

// options checks the verb's own flags.
func (f surveyFlags) options(cfg config.Boot) (survey.Options, error) {
	o := survey.Options{Limit: f.limit}
	if f.limit < 1 {
		return o, blame.New(blame.Usage, fmt.Sprintf("--limit: %d is not above 0", f.limit), "leave it out to have the default")
	}
	if f.limit > survey.MaxLimit {
		return o, blame.New(blame.Usage, fmt.Sprintf("--limit: %d is above %d", f.limit, survey.MaxLimit), "no boot has time for more hits")
	}
	if cfg.Repeat > 1 {
		return o, blame.New(blame.Usage, "--repeat: a survey is one boot", "leave it out")
	}
	if cfg.WhoWrote != "" {
		return o, blame.New(blame.Usage, "--who-wrote: a survey does not ask it", "kcatch boot --who-wrote does")
	}
	if cfg.JSON == "-" && f.csv == "-" {
		return o, blame.New(blame.Usage, "--json - and --csv -: standard output is one", "name a file for one of them")
	}
	var err error
	o.Breaks, err = parseBreaks(f.breaks)
	return o, err
}

// parseBreaks reads the values of --break.
func parseBreaks(texts []string) ([]survey.Break, error) {
	var out []survey.Break
	for _, text := range texts {
		b, err := survey.ParseBreak(text)
		if err != nil {
			return nil, err
		}
		out = append(out, b)
	}
	return out, nil
}

// runSurvey is the verb: configuration → Plan → survey → report → exit code.
func runSurvey(ctx context.Context, cfg config.Boot, flags surveyFlags, stdout io.Writer, talk *talk) (int, error) {
	if err := checkOutputs(cfg.Out, cfg.JSON); err != nil {
		return 0, err
	}
	if err := checkFile("--csv", flags.csv); err != nil {
		return 0, err
	}
	if err := checkTwo("--json", cfg.JSON, "--csv", flags.csv); err != nil {
		return 0, err
	}
	result, err := surveyed(ctx, cfg, flags, stdout, talk)
	err = interrupted(ctx, err)
	if err != nil && result == nil {
		if cfg.DryRun {
			return 0, err
		}
		failed := survey.Failed(err)
		result = &failed
	}
	if result == nil { // a dry run
		return verdict.ExitGood, nil
	}
	talk.abandon()
	if err = errors.Join(err, showSurvey(cfg, flags, result, err != nil, stdout)); err != nil {
		return 0, err
	}
	return codeOf(cfg, &result.Boot, talk)
}

// surveyed boots; the survey is nil when nothing was booted.
func surveyed(ctx context.Context, cfg config.Boot, flags surveyFlags, stdout io.Writer, talk *talk) (*verdict.Survey, error) {
	options, err := flags.options(cfg)
	if err != nil {
		return nil, err
	}
	plan, err := absolute(planFor(cfg))
	if err != nil {
		return nil, err
	}
	plan.Workload = flags.workload
	s, err := survey.New(plan, options)
	if err != nil {
		return nil, err
	}
	if goOn, err := announce(ctx, s.Plan(), cfg, stdout, talk); !goOn || err != nil {
		return nil, err
	}
	progress := talk.progress()
	progress.Verdict = func(*verdict.Result) { talk.done() }
	result, err := s.Run(ctx, progress)
	return &result, err
}

// showSurvey writes what was asked for. Of a boot without a verdict the text is left out: the error says why, and the sites so
// far are in the files.
func showSurvey(cfg config.Boot, flags surveyFlags, s *verdict.Survey, failed bool, stdout io.Writer) error {
	var errs []error
	if cfg.JSON != "" {
		errs = append(errs, writeTo(cfg.JSON, stdout, func(w io.Writer) error { return report.SurveyJSON(w, s) }))
	}
	if flags.csv != "" && (!failed || len(s.Sites) > 0) {
		errs = append(errs, writeFile("--csv", flags.csv, stdout, func(w io.Writer) error { return report.SurveyCSV(w, s) }))
	}
	if cfg.JSON != "-" && flags.csv != "-" && (!failed || len(s.Sites) > 0) {
		errs = append(errs, report.SurveyText(stdout, s, styleOf(cfg, stdout), cfg.Verbose))
	}
	return errors.Join(errs...)
}
