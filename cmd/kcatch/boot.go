package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"kcatch/harness"
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

func bootCommand(stdout, stderr io.Writer, code *int) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "boot [TREE]",
		Short:   "build, boot, verdict",
		Long:    bootLong,
		Example: bootExample,
		Args:    cobra.MaximumNArgs(1),
	}
	config.BindBootFlags(cmd.Flags())
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		cfg, _, err := config.ResolveBoot(cmd.Flags(), os.LookupEnv, args, verdict.ClassNames())
		if err != nil {
			return err
		}
		*code, err = boot(cmd.Context(), cfg, stdout, stderr)
		return err
	}
	return cmd
}

// boot is the verb: configuration → Plan → harness.Boot → report → exit code.
func boot(ctx context.Context, cfg config.Boot, stdout, stderr io.Writer) (int, error) {
	plan, err := planFor(cfg)
	if err != nil {
		return 0, err
	}
	if err := harness.Check(ctx, plan); err != nil {
		return 0, err
	}
	if cfg.DryRun {
		line, err := harness.DryRun(plan)
		if err != nil {
			return 0, err
		}
		_, err = fmt.Fprintln(stdout, line)
		return verdict.ExitGood, err
	}
	talk := newLive(stderr, isTerminal(stderr), cfg.Quiet)
	result, err := harness.Boot(ctx, plan, talk.progress())
	talk.done()
	if err != nil {
		if skipped := harness.Skipped(err); cfg.JSON != "" {
			if werr := writeJSON(cfg.JSON, stdout, &skipped); werr != nil {
				return 0, werr
			}
		}
		return 0, err
	}
	if err := show(cfg, &result, stdout); err != nil {
		return 0, err
	}
	return exitCode(cfg, &result)
}

func exitCode(cfg config.Boot, r *verdict.Result) (int, error) {
	for _, turn := range []struct {
		spec string
		code func(verdict.Match) int
	}{
		{cfg.Expect, func(m verdict.Match) int { return m.ExpectCode(r) }},
		{cfg.Only, func(m verdict.Match) int { return m.OnlyCode(r) }},
	} {
		if turn.spec == "" {
			continue
		}
		m, err := verdict.ParseMatch(turn.spec)
		if err != nil {
			return 0, blame.New(blame.Usage, err.Error(), "")
		}
		return turn.code(m), nil
	}
	return r.ExitCode(), nil
}

// planFor makes the Plan of a configuration.
func planFor(cfg config.Boot) (harness.Plan, error) {
	plan := harness.Plan{
		Kernel: cfg.Kernel, Vmlinux: cfg.Vmlinux, BootVmlinux: cfg.BootVmlinux, Initrd: cfg.Initrd, Run: cfg.Run,
		Append: cfg.Append, Machine: cfg.Machine, Memory: cfg.Memory, CPUs: cfg.SMP, Accel: cfg.Accel, QEMU: cfg.QEMU,
		QEMUArg: cfg.QEMUArg, Until: cfg.Until, Timeout: cfg.Timeout, Out: cfg.Out,
	}
	for _, c := range cfg.FailOn {
		plan.FailOn = append(plan.FailOn, verdict.Class(c))
	}
	if cfg.Kernel == "" && cfg.Vmlinux == "" {
		plan.Build = &harness.BuildRequest{Tree: cfg.Tree, Patches: cfg.Patch, Base: cfg.Base, Fragments: cfg.Config, Make: cfg.Make}
	}
	if cfg.Out != "" {
		abs, err := filepath.Abs(cfg.Out)
		if err != nil {
			return plan, blame.New(blame.Usage, "--out: "+err.Error(), "")
		}
		plan.Out = abs
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
	style := report.Style{Color: isTerminal(stdout) && !cfg.NoColor && os.Getenv("NO_COLOR") == ""}
	if f, ok := stdout.(*os.File); ok {
		if w, _, err := term.GetSize(int(f.Fd())); err == nil {
			style.Width = w
		}
	}
	return report.Text(stdout, r, style)
}

func writeJSON(to string, stdout io.Writer, r *verdict.Result) error {
	if to == "-" {
		return report.JSON(stdout, r)
	}
	f, err := os.Create(to)
	if err != nil {
		return blame.New(blame.Usage, "--json: "+err.Error(), "name a file in a directory that exists, or - for standard output")
	}
	if err := report.JSON(f, r); err != nil {
		_ = f.Close() // the write's error is the telling one
		return &blame.Error{Kind: blame.Infrastructure, Msg: "--json: " + err.Error(), Err: err}
	}
	return f.Close()
}

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
