// Kcatch boots an x86_64 Linux kernel under QEMU and, when the kernel dies, says what died, where and why: also when it
// dies before there is a console.
//
// Usage:
//
//	kcatch boot [TREE] [flags]     build, boot, verdict
//	kcatch config [flags]          the settings in force, and where each comes from
//	kcatch completion SHELL        shell completion
//	kcatch version
//
// Results go to standard output, talk goes to standard error with a "kcatch:" in front. Exit codes: 0 good, 1 bad,
// 125 cannot be tested, 129 usage, 130 interrupted, 131 infrastructure; "git bisect run" understands them.
//
//	kcatch boot --patch pgflags-refcount                # the kernel of kcatch's own story dies, and you see why
//	kcatch boot ~/linux --append 'debug'                # your own tree, as it stands; it is never written to
//	kcatch boot --kernel bzImage --vmlinux vmlinux      # no build
//	git bisect run kcatch boot . --only panic           # 1 for this death, 125 for another
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

func main() { os.Exit(run(os.Args[1:], os.Stdout, os.Stderr)) }

// run is main without the process around it. The first SIGINT, SIGTERM or SIGHUP cancels the context, and every stage
// ends what it started; a second one ends kcatch at once (QEMU dies with it).
func run(args []string, stdout, stderr io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop)

	code := verdict.ExitGood
	root := rootCommand(stdout, stderr, &code)
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		return fail(stderr, err)
	}
	return code
}

func rootCommand(stdout, stderr io.Writer, code *int) *cobra.Command {
	root := &cobra.Command{
		Use:           "kcatch",
		Short:         "boot a Linux kernel under QEMU; when it dies, say what died, where and why",
		SilenceErrors: true,
		SilenceUsage:  true,
	}
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage(err) })
	root.AddCommand(bootCommand(stdout, stderr, code), configCommand(stdout), versionCommand(stdout))
	return root
}

// usage makes a usage error of what cobra or a flag says.
func usage(err error) error {
	var already *blame.Error
	if errors.As(err, &already) {
		return err
	}
	return &blame.Error{Kind: blame.Usage, Msg: firstLine(err.Error()), Hint: "kcatch --help lists verbs and flags", Err: err}
}

// maxRefusal is how many lines a refusal has at most.
const maxRefusal = 6

// fail says why there is no verdict, in at most six lines, and returns the exit code.
func fail(stderr io.Writer, err error) int {
	kind := blame.Of(err)
	if kind == blame.Unknown && isCobra(err) {
		err = usage(err)
		kind = blame.Usage
	}
	if kind == blame.Interrupted {
		fmt.Fprintln(stderr, "kcatch: interrupted")
		return verdict.ExitInterrupted
	}
	fmt.Fprintf(stderr, "kcatch: %s\n", report.Clean(firstLine(err.Error()), 0))
	left := maxRefusal - 1
	hint := blame.Hint(err)
	if hint != "" {
		left--
	}
	if detail := blame.Detail(err); detail != "" {
		for _, l := range report.Lines(detail, 160) {
			if left == 0 {
				break
			}
			fmt.Fprintf(stderr, "  %s\n", l)
			left--
		}
	}
	if hint != "" {
		fmt.Fprintf(stderr, "hint: %s\n", report.Clean(firstLine(hint), 0))
	}
	return verdict.ExitFor(err)
}

func firstLine(s string) string {
	l, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return l
}

// isCobra recognizes what cobra itself says of an unknown verb or flag; it has no error types for these
// (cobra v1.10.2, command.go and args.go).
func isCobra(err error) bool {
	for _, head := range []string{"unknown command", "unknown flag", "unknown shorthand", "accepts ", "requires ", "invalid argument", "flag needs"} {
		if strings.HasPrefix(err.Error(), head) {
			return true
		}
	}
	return false
}
