package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"kcatch/harness/doctor"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

const doctorLong = `Look at what building and booting kernels needs: compiler, linker, flex, bison, bc, libelf; QEMU, its version and its
machines; KVM and record/replay, each tried out with a guest; busybox, the room on the disk, the cache. With --vmlinux
also at a kernel: debug information, ORC, kallsyms, PVH, KASLR, and the options that a boot to init needs. Under each
thing that is not well stands the command that mends it.

An error keeps "kcatch boot" from a verdict; a warning is what something else needs, or what makes a report poorer.

--fix installs Debian packages for what is missing, after asking; --yes does not ask. Then it looks again.

Exit codes: 0 no error (there may be warnings), 1 errors, 129 usage, 130 interrupted, 131 infrastructure.`

const doctorExample = `  kcatch doctor
  kcatch doctor --vmlinux vmlinux
  kcatch doctor --fix
  kcatch doctor --make LLVM=1 --json - | jq -r '.checks[] | select(.status == "error") | .fix'`

// doctorFlags are the verb's own.
type doctorFlags struct {
	doctor.Options
	json     string
	fix, yes bool
	appearance
}

func doctorCommand(stdout io.Writer, talk *talk, code *int) *cobra.Command {
	var flags doctorFlags
	cmd := &cobra.Command{
		Use:     "doctor",
		Short:   "what this machine, or a vmlinux, lacks, and the command that mends it",
		Long:    doctorLong,
		Example: doctorExample,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			var err error
			*code, err = runDoctor(cmd.Context(), flags, os.Stdin, stdout, talk)
			return err
		},
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.StringVar(&flags.Vmlinux, "vmlinux", "", "look at this kernel's `ELF` too")
	fs.StringArrayVar(&flags.Make, "make", nil, "look for the tools that these make arguments choose: LLVM=1, CC=... (`ARG`); may be repeated")
	fs.StringVar(&flags.QEMU, "qemu", "", "look at this QEMU (`PATH`)")
	fs.BoolVar(&flags.fix, "fix", false, "install Debian packages for what is missing, after asking")
	fs.BoolVar(&flags.yes, "yes", false, "with --fix: do not ask")
	fs.StringVar(&flags.json, "json", "", "write kcatch/doctor/v1 to a `FILE`, or to standard output with -")
	flags.bindAppearance(cmd)
	_ = cmd.RegisterFlagCompletionFunc("make", cobra.FixedCompletions([]string{"LLVM=1", "CC="}, wordsOnly|cobra.ShellCompDirectiveNoSpace))
	return cmd
}

// runDoctor is the verb: look, judge, show; with --fix ask, install, and once more.
func runDoctor(ctx context.Context, flags doctorFlags, stdin *os.File, stdout io.Writer, talk *talk) (int, error) {
	talk.terminal = talk.terminal && !flags.plain
	switch {
	case flags.yes && !flags.fix:
		return 0, blame.New(blame.Usage, "--yes: goes with --fix", "kcatch doctor --fix --yes")
	case flags.fix && !flags.yes && !isTerminal(stdin):
		return 0, blame.New(blame.Usage, "--fix: standard input is no terminal, so that nobody can be asked", "--yes installs without asking")
	}
	if err := checkFile("--json", flags.json); err != nil {
		return 0, err
	}
	if talk.terminal {
		flags.Say = func(what string) {
			talk.abandon() // the lines are not worth keeping
			talk.begin("looking at", what)
		}
	}
	d, err := look(ctx, flags, talk)
	if err != nil {
		return 0, err
	}
	if packages := d.Packages(); flags.fix && len(packages) > 0 {
		if flags.json != "-" {
			if err := report.DoctorText(stdout, &d, flags.style(stdout)); err != nil {
				return 0, err
			}
		}
		if !flags.yes && !agreed(ctx, stdin, talk, "kcatch: install "+strings.Join(packages, " ")+"? [y/N] ") {
			talk.print("kcatch: nothing was installed")
			return d.ExitCode(), errors.Join(ctx.Err(), doctorJSON(flags, &d, stdout))
		}
		if err := doctor.Install(ctx, packages, stdin, talk); err != nil {
			return 0, err
		}
		if d, err = look(ctx, flags, talk); err != nil {
			return 0, err
		}
	}
	return d.ExitCode(), showDoctor(flags, &d, stdout)
}

func look(ctx context.Context, flags doctorFlags, talk *talk) (verdict.Doctor, error) {
	facts, err := doctor.Look(ctx, flags.Options)
	talk.abandon()
	return doctor.Judge(facts), err
}

func showDoctor(flags doctorFlags, d *verdict.Doctor, stdout io.Writer) error {
	err := doctorJSON(flags, d, stdout)
	if flags.json != "-" {
		err = errors.Join(err, report.DoctorText(stdout, d, flags.style(stdout)))
	}
	return err
}

func doctorJSON(flags doctorFlags, d *verdict.Doctor, stdout io.Writer) error {
	if flags.json == "" {
		return nil
	}
	return writeTo(flags.json, stdout, func(w io.Writer) error { return report.DoctorJSON(w, d) })
}

// agreed asks a question and is true for an answer that begins with y. An interrupt is a no.
func agreed(ctx context.Context, in io.Reader, talk io.Writer, question string) bool {
	_, _ = io.WriteString(talk, question) // a terminal that is gone does not answer either
	answer := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(in).ReadString('\n') // the end is no answer
		answer <- line
	}()
	select {
	case a := <-answer:
		return strings.HasPrefix(strings.ToLower(strings.TrimSpace(a)), "y")
	case <-ctx.Done():
		return false
	}
}
