package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"kcatch/harness"
	"kcatch/harness/autopsy"
	"kcatch/harness/report"
	"kcatch/internal/blame"
	"kcatch/internal/nearest"
)

const autopsyLong = `Say what died, where and why, from an ELF core file: the report of "kcatch boot", of a machine that is gone.

VMCORE is one that kcatch left in a boot's artifacts, one of QEMU's dump-guest-memory (with or without paging, not -z), or one
of kdump (a copy of /proc/vmcore, or makedumpfile -E). --vmlinux is the kernel's that ran, of the same build; its place in
memory, KASLR included, is found by itself.

A core of kcatch's own gives what the boot gave. Others know less: the vector of an early exception is a guess there, a reset
does not show, and a machine that runs is no death but a skip.

Exit codes: 1 a death; 125 the core shows none; 129 not a core, or not of this vmlinux; 131 infrastructure.`

const autopsyExample = `  kcatch autopsy vmcore --vmlinux ~/linux/vmlinux
  kcatch autopsy /var/crash/202611250907/dump --vmlinux /usr/lib/debug/boot/vmlinux-6.1.0-30-amd64 --json - | jq .cause`

// autopsyFlags are the verb's own.
type autopsyFlags struct {
	vmlinux, boot, modules, values, json string
	appearance
}

func autopsyCommand(stdout io.Writer, code *int) *cobra.Command {
	var flags autopsyFlags
	cmd := &cobra.Command{
		Use:     "autopsy VMCORE --vmlinux ELF",
		Short:   "the report from a core",
		Long:    autopsyLong,
		Example: autopsyExample,
		Args:    cobra.ArbitraryArgs,
	}
	fs := cmd.Flags()
	fs.StringVar(&flags.vmlinux, "vmlinux", "", "the kernel that ran, as `ELF` with debug information")
	fs.StringVar(&flags.boot, "boot-vmlinux", "", "arch/x86/boot/compressed/vmlinux, as `ELF`, for deaths in the decompressor")
	fs.StringVar(&flags.modules, "modules", "", "`DIR` with the kernel's modules, for their lines")
	fs.StringVar(&flags.values, "values", "args", "what to show of variables: `WHICH` of none, args, all")
	fs.StringVar(&flags.json, "json", "", "write kcatch/result/v1 to a `FILE`, or to standard output with -")
	flags.bindAppearance(cmd)
	_ = cmd.MarkFlagDirname("modules")
	_ = cmd.RegisterFlagCompletionFunc("values", cobra.FixedCompletions(valuesWords, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		req, err := flags.request(args)
		if err != nil {
			return err
		}
		*code, err = runAutopsy(cmd.Context(), req, flags, stdout)
		return err
	}
	return cmd
}

var valuesWords = []string{"none", "args", "all"}

// request checks the verb's arguments.
func (f autopsyFlags) request(args []string) (harness.CoreRequest, error) {
	req := harness.CoreRequest{Vmlinux: f.vmlinux, BootVmlinux: f.boot, Modules: f.modules,
		Values: autopsy.ValueOptions{Args: f.values != "none", Locals: f.values == "all"}}
	switch {
	case len(args) == 0:
		return req, blame.New(blame.Usage, "autopsy: which core?", "kcatch autopsy VMCORE --vmlinux ELF")
	case len(args) > 1:
		return req, blame.New(blame.Usage, "autopsy: one core at a time: "+strings.Join(args, " "), "kcatch autopsy VMCORE --vmlinux ELF")
	case f.vmlinux == "":
		return req, blame.New(blame.Usage, "autopsy: --vmlinux: which kernel ran?", "give the vmlinux with debug information that it was linked to")
	case !slices.Contains(valuesWords, f.values):
		hint := "none, args or all"
		if near := nearest.Name(f.values, valuesWords, 3); near != "" {
			hint = "did you mean " + near + "?"
		}
		return req, blame.New(blame.Usage, `--values: "`+f.values+`": no such choice`, hint)
	}
	req.Core = args[0]
	if err := checkModules(f.modules); err != nil {
		return req, err
	}
	return req, checkOutputs("", f.json)
}

// runAutopsy is the verb: core → harness.Autopsy → report → exit code.
func runAutopsy(ctx context.Context, req harness.CoreRequest, flags autopsyFlags, stdout io.Writer) (int, error) {
	r, err := harness.Autopsy(ctx, req)
	if err != nil {
		if flags.json == "" {
			return 0, err
		}
		skipped := harness.Skipped(err)
		return 0, errors.Join(err, writeJSON(flags.json, stdout, &skipped))
	}
	if flags.json != "" {
		if err := writeJSON(flags.json, stdout, &r); err != nil || flags.json == "-" {
			return r.ExitCode(), err
		}
	}
	return r.ExitCode(), report.Text(stdout, &r, flags.style(stdout))
}
