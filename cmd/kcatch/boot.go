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
	"golang.org/x/term"

	"kcatch/harness"
	"kcatch/harness/autopsy"
	"kcatch/harness/config"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

const bootLong = `Build a kernel, boot it under QEMU, and say how that ended.

TREE is debian-6.1 (the default) or debian-6.12 (Debian's kernel source packages, fetched when they are not there), a
directory with a kernel tree (built as it stands, changed and untracked files included; never written to), or a
tarball. With --kernel or --vmlinux nothing is built.

Exit codes: 0 good, 1 bad, 125 cannot be tested (the patch does not fit, the configuration does not take, it does not
build), 129 usage, 130 interrupted, 131 infrastructure.`

const bootExample = `  kcatch boot --patch pgflags-refcount
  kcatch boot ~/linux --config kasan --append 'debug' --smp 2
  kcatch boot --kernel arch/x86/boot/bzImage --vmlinux vmlinux
  kcatch boot --vmlinux vmlinux --json - | jq .cause`

func bootCommand(stdout io.Writer, talk *talk, code *int) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "boot [TREE]",
		Short:   "build, boot, verdict",
		Long:    bootLong,
		Example: bootExample,
		Args:    cobra.ArbitraryArgs, // config says more about a second TREE
	}
	config.BindBootFlags(cmd.Flags())
	completeBoot(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, resolved, err := config.ResolveBoot(cmd.Flags(), os.LookupEnv, args, verdict.ClassNames())
		if err != nil {
			return err
		}
		introduce(talk, cfg, resolved)
		*code, err = boot(cmd.Context(), cfg, stdout, talk)
		return err
	}
	return cmd
}

// introduce makes talk as loud as the settings want it, and says what there is to say of them.
func introduce(talk *talk, cfg config.Boot, resolved config.Resolved) {
	talk.quiet = cfg.Quiet
	talk.terminal = talk.terminal && !cfg.Plain
	for _, n := range append(resolved.Notes, strangers(resolved)...) {
		talk.remark(n)
	}
	if cfg.Verbose {
		explainSettings(talk, resolved)
	}
}

// announce checks what a plan names before anything is done, and shows QEMU's command line where that was asked for; goOn is
// false when it was all that was asked for.
func announce(ctx context.Context, plan harness.Plan, cfg config.Boot, stdout io.Writer, talk *talk) (goOn bool, err error) {
	if err := harness.Check(ctx, plan); err != nil {
		return false, err
	}
	if !cfg.DryRun && !cfg.Verbose {
		return true, nil
	}
	line, err := harness.DryRun(plan)
	if err != nil {
		return false, err
	}
	if cfg.DryRun {
		_, err = fmt.Fprintln(stdout, line)
		return false, err
	}
	talk.remark(line)
	return true, nil
}

// explainSettings says which settings are not the defaults, and where they come from.
func explainSettings(talk *talk, resolved config.Resolved) {
	for _, v := range resolved.Values {
		if v.Origin != "default" {
			talk.remark(fmt.Sprintf("%s %s (%s)", v.Key, v.Value, v.Origin))
		}
	}
}

// boot is the verb: configuration → Plan → harness.Boot → report → exit code. Where there is no verdict, the JSON that was
// asked for says so too.
func boot(ctx context.Context, cfg config.Boot, stdout io.Writer, talk *talk) (int, error) {
	if err := checkOutputs(cfg.Out, cfg.JSON); err != nil {
		return 0, err
	}
	if cfg.Repeat > 1 && !cfg.DryRun {
		return repeat(ctx, cfg, stdout, talk)
	}
	result, err := verdictOf(ctx, cfg, stdout, talk)
	if result != nil && err != nil { // the verdict has been shown; something of the boot could not be kept
		return 0, err
	}
	err = interrupted(ctx, err)
	if err != nil {
		if cfg.JSON == "" || cfg.DryRun {
			return 0, err
		}
		skipped := harness.Skipped(err)
		return 0, errors.Join(err, writeJSON(cfg.JSON, stdout, &skipped))
	}
	if result == nil { // a dry run
		return verdict.ExitGood, nil
	}
	return codeOf(cfg, result, talk)
}

// verdictOf boots, and shows the result as soon as it is known; it is nil for a dry run.
func verdictOf(ctx context.Context, cfg config.Boot, stdout io.Writer, talk *talk) (*verdict.Result, error) {
	plan := planFor(cfg)
	if cfg.WhoWrote != "" {
		if err := harness.CheckQuestion(plan, cfg.WhoWrote); err != nil {
			return nil, err
		}
	}
	if goOn, err := announce(ctx, plan, cfg, stdout, talk); !goOn || err != nil {
		return nil, err
	}
	plan, err := absolute(plan)
	if err != nil {
		return nil, err
	}
	var result *verdict.Result
	var shown error
	progress := talk.progress()
	progress.Verdict = func(r *verdict.Result) {
		talk.done()
		result, shown = r, show(cfg, r, stdout)
	}
	if cfg.WhoWrote != "" {
		_, err = harness.WhoWrote(ctx, plan, cfg.WhoWrote, progress)
	} else {
		_, err = harness.Boot(ctx, plan, progress)
	}
	return result, errors.Join(shown, err)
}

// codeOf is the exit code of a boot, turned by --expect or --only.
func codeOf(cfg config.Boot, r *verdict.Result, talk *talk) (int, error) {
	code, err := turned(cfg)
	if err != nil {
		return 0, err
	}
	flag, want := "--expect", cfg.Expect
	if want == "" {
		flag, want = "--only", cfg.Only
	}
	if want != "" {
		talk.remark(fmt.Sprintf("%s %s: this is %s: exit %d", flag, want, death(r), code(r)))
	}
	return code(r), nil
}

// death is a result as --expect names it.
func death(r *verdict.Result) string {
	if r.Cause == nil {
		return string(r.Class)
	}
	return string(r.Class) + ":" + strings.Join(append([]string{r.Cause.Function}, r.Cause.InlinedInto...), ", inlined into ")
}

// turned is how results become exit codes.
func turned(cfg config.Boot) (func(*verdict.Result) int, error) {
	if cfg.Expect == "" && cfg.Only == "" {
		return (*verdict.Result).ExitCode, nil
	}
	m, err := verdict.ParseMatch(cfg.Expect + cfg.Only) // config lets only one be set
	if err != nil {
		return nil, blame.New(blame.Usage, err.Error(), "")
	}
	if cfg.Expect != "" {
		return m.ExpectCode, nil
	}
	return m.OnlyCode, nil
}

// planFor makes the Plan of a configuration.
func planFor(cfg config.Boot) harness.Plan {
	plan := harness.Plan{
		Kernel: cfg.Kernel, Vmlinux: cfg.Vmlinux, BootVmlinux: cfg.BootVmlinux, Initrd: cfg.Initrd, Modules: cfg.Modules, Run: cfg.Run,
		Append: cfg.Append, Machine: cfg.Machine, Memory: cfg.Memory, CPUs: cfg.SMP, CPU: cfg.CPU, Accel: cfg.Accel, QEMU: cfg.QEMU,
		QEMUArg: cfg.QEMUArg, Until: cfg.Until, Timeout: cfg.Timeout, Timeline: cfg.Timeline, Out: cfg.Out,
	}
	plan.Values = autopsy.ValueOptions{Args: cfg.Values != "none", Locals: cfg.Values == "all", Depth: cfg.ValuesDepth}
	plan.Checks = checksFor(cfg.Check)
	for _, c := range cfg.FailOn {
		plan.FailOn = append(plan.FailOn, verdict.Class(c))
	}
	if cfg.Kernel == "" && cfg.Vmlinux == "" {
		plan.Build = &harness.BuildRequest{Tree: cfg.Tree, Patches: cfg.Patch, Base: cfg.Base, Fragments: cfg.Config, Make: cfg.Make}
	}
	return plan
}

// absolute makes the file names of a checked plan absolute: they go into the artifacts, where "boot it again" is run from
// another directory. Refusals before this name a file as the user did.
func absolute(plan harness.Plan) (harness.Plan, error) {
	for _, name := range []*string{&plan.Kernel, &plan.Vmlinux, &plan.BootVmlinux, &plan.Initrd, &plan.Modules, &plan.Out} {
		if *name == "" || name == &plan.Initrd && *name == "none" {
			continue
		}
		abs, err := filepath.Abs(*name)
		if err != nil {
			return plan, blame.New(blame.Infrastructure, "working directory: "+err.Error(), "")
		}
		*name = abs
	}
	return plan, nil
}

// show prints the report: JSON where --json says, alone on standard output for "-"; otherwise text.
func show(cfg config.Boot, r *verdict.Result, stdout io.Writer) error {
	if cfg.JSON != "" {
		if err := writeJSON(cfg.JSON, stdout, r); err != nil || cfg.JSON == "-" {
			return err
		}
	}
	return report.Text(stdout, r, styleOf(cfg, stdout))
}

// styleOf is the look of the text on standard output.
func styleOf(cfg config.Boot, stdout io.Writer) report.Style {
	if cfg.Plain {
		return report.Style{}
	}
	style := report.Style{Color: isTerminal(stdout) && !cfg.NoColor && os.Getenv("NO_COLOR") == ""}
	if f, ok := stdout.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			style.Width = w
		}
	}
	return style
}

func writeJSON(to string, stdout io.Writer, r *verdict.Result) error {
	return writeTo(to, stdout, func(w io.Writer) error { return report.JSON(w, r) })
}

// writeTo writes to the file that --json names, or to standard output for "-".
func writeTo(to string, stdout io.Writer, write func(io.Writer) error) error {
	return writeFile("--json", to, stdout, write)
}

// writeFile writes to the file that a flag names, or to standard output for "-".
func writeFile(flag, to string, stdout io.Writer, write func(io.Writer) error) error {
	if to == "-" {
		return write(stdout)
	}
	f, err := os.Create(to)
	if err != nil {
		return blame.New(blame.Usage, flag+": "+err.Error(), "name a file in a directory that exists, or - for standard output")
	}
	if err := write(f); err != nil {
		_ = f.Close() // the write's error is the telling one
		return &blame.Error{Kind: blame.Infrastructure, Msg: flag + ": " + err.Error(), Err: err}
	}
	return f.Close()
}

// isTerminal reports whether w is a terminal that understands escape sequences.
func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd())) && os.Getenv("TERM") != "dumb"
}
