package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"kcatch/harness/faults"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/shell"
	corpus "kcatch/kernels/faults"
)

const faultsLong = `Boot the fault corpus: kernels that die, hang or only seem to, each with the verdict that it must get. Kernels that are
not in the cache are built, from the nearest objects; Debian's own are those of "make fixtures".

Prints a table: name, expected, got, time, right or wrong, and under a wrong one what is wrong and where its artifacts
are. The artifacts of right ones are not kept. --list names each with its kernel, what is expected, what it is, and the
--append and --run that make it, for a boot of your own.

Exit codes: 0 all right, 1 some wrong, 129 usage, 130 interrupted, 131 infrastructure.`

const faultsExample = `  kcatch faults --list
  kcatch faults --only 'early-*'
  kcatch faults --json - | jq '.faults[] | select(.right | not)'`

// faultsFlags are the verb's own.
type faultsFlags struct {
	list bool
	appearance
	only, json string
}

func faultsCommand(stdout io.Writer, talk *talk, code *int) *cobra.Command {
	var flags faultsFlags
	cmd := &cobra.Command{
		Use:     "faults",
		Short:   "boot the fault corpus, and count the right verdicts",
		Long:    faultsLong,
		Example: faultsExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			*code, err = runFaults(cmd.Context(), flags, stdout, talk)
			return err
		},
	}
	fs := cmd.Flags()
	fs.BoolVar(&flags.list, "list", false, "name the faults, boot none")
	fs.StringVar(&flags.only, "only", "", "`GLOB` of the names to take")
	fs.StringVar(&flags.json, "json", "", "write kcatch/faults/v1 to a `FILE`, or to standard output with -")
	flags.bindAppearance(cmd)
	completeFaults(cmd)
	return cmd
}

// completeFaults offers the names of the faults.
func completeFaults(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("only", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		c, _ := faults.Load() // an error is said when the verb runs
		var names []string
		for _, f := range c.Faults {
			names = append(names, f.Name+"\t"+f.What)
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}

// runFaults is the verb: the faults that are meant, checked, booted, counted.
func runFaults(ctx context.Context, flags faultsFlags, stdout io.Writer, talk *talk) (int, error) {
	all, err := faults.Load()
	if err != nil {
		return 0, err
	}
	list, err := all.Match(flags.only)
	if err != nil {
		return 0, err
	}
	if flags.list {
		if flags.json != "" {
			return 0, blame.New(blame.Usage, "--list and --json: only one of them", "--list names the faults and boots none")
		}
		return verdict.ExitGood, listFaults(stdout, list)
	}
	if err := checkOutputs("", flags.json); err != nil {
		return 0, err
	}
	if err := faults.Check(ctx, list, ""); err != nil {
		return 0, err
	}
	table := tableFor(list, flags.style(stdout))
	talk.terminal = talk.terminal && !flags.plain
	text := stdout
	if flags.json == "-" {
		text = io.Discard
	}
	shown := table.Head(text)
	counted, err := faults.Run(ctx, list, "", talk.progress(), func(r verdict.FaultRow) {
		talk.abandon()
		shown = errors.Join(shown, table.Row(text, r))
	})
	talk.abandon()
	shown = errors.Join(shown, table.Score(text, &counted))
	if flags.json != "" {
		shown = errors.Join(shown, writeTo(flags.json, stdout, func(w io.Writer) error { return report.FaultsJSON(w, &counted) }))
	}
	return counted.ExitCode(), errors.Join(err, shown)
}

// tableFor is as wide as the list needs.
func tableFor(list []corpus.Fault, style report.Style) report.FaultsTable {
	t := report.FaultsTable{Style: style}
	for _, f := range list {
		t.Name, t.Expected = max(t.Name, len(f.Name)), max(t.Expected, len(faults.Expected(f.Want)))
	}
	return t
}

// listFaults names the faults with their kernel, what is expected, what they are, and the flags that tell the kernel to: a name is no
// kcatch_fault= of the selectable kernel.
func listFaults(w io.Writer, list []corpus.Fault) error {
	t := tableFor(list, report.Style{})
	for _, f := range list {
		what := f.What
		if f.Append != "" {
			what += "  --append " + shell.Word(f.Append)
		}
		if f.Run != "" {
			what += "  --run " + shell.Word(f.Run)
		}
		if _, err := fmt.Fprintf(w, "%-*s  %-11s  %-*s  %s\n", t.Name, f.Name, f.On.Name, t.Expected, faults.Expected(f.Want), what); err != nil {
			return err
		}
	}
	return nil
}
