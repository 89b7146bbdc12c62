// Kcatch boots an x86_64 Linux kernel under QEMU and, when the kernel dies, says what died, where and why: also when it
// dies before there is a console.
//
// Usage:
//
//	kcatch boot [TREE] [flags]     build, boot, verdict
//	kcatch survey [TREE] [flags]   every place that warns, or is passed, in one boot
//	kcatch bisect GOOD BAD [flags] find the commit after which the boot dies
//	kcatch smoke [TREE] [flags]    boot a matrix of kernels and machines, for CI
//	kcatch faults [flags]          boot the fault corpus, count the right verdicts
//	kcatch autopsy VMCORE [flags]  the report from a core
//	kcatch symbolize [ADDR...]     the function, file and line of addresses, or of a console's text
//	kcatch debug [TREE] [flags]    boot, stop at the death, and hand over to gdb
//	kcatch config [flags]          the settings in force, and where each comes from
//	kcatch doctor [flags]          what this machine lacks, and the command that mends it
//	kcatch cache ls|prune [flags]  what the cache has, and removing it
//	kcatch completion SHELL        shell completion for bash, zsh or fish
//	kcatch help [VERB]
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
	"io"
	"os"

	"github.com/spf13/cobra"

	"kcatch/harness/config"
	"kcatch/harness/verdict"
)

const rootLong = `Boot an x86_64 Linux kernel under QEMU; when it dies, say what died, where and why: also when it dies before there is a
console.`

const rootExample = `  kcatch boot --patch pgflags-refcount             the kernel of kcatch's own story dies, and you see why
  kcatch boot ~/linux                              your own tree, as it stands; it is never written to
  kcatch boot --kernel bzImage --vmlinux vmlinux   no build`

func main() {
	collectLazily()
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run is main without the process around it.
func run(args []string, stdout, stderr io.Writer) int {
	talk := newTalk(stderr, isTerminal(stderr))
	ctx, stop := interruptible(context.Background(), talk)
	defer stop()

	code := verdict.ExitGood
	root := rootCommand(stdout, talk, &code)
	if len(args) > 0 && args[0] == cobra.ShellCompRequestCmd {
		describeForShell(root)
	}
	root.SetArgs(args)
	if err := root.ExecuteContext(ctx); err != nil {
		talk.abandon()
		refuse(talk, err)
		return verdict.ExitFor(err)
	}
	return code
}

func rootCommand(stdout io.Writer, talk *talk, code *int) *cobra.Command {
	root := &cobra.Command{
		Use:           "kcatch",
		Short:         "boot a Linux kernel under QEMU; when it dies, say what died, where and why",
		Long:          rootLong,
		Example:       rootExample,
		Version:       version(),
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.ArbitraryArgs,

		SuggestionsMinimumDistance: 2,
	}
	root.RunE = func(_ *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownVerb(root, args[0])
		}
		return root.Help()
	}
	root.SetOut(stdout)
	root.SetErr(talk)
	root.SetVersionTemplate("kcatch {{.Version}}\n")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		if words := c.Flags().Args(); c.HasSubCommands() && len(words) > 0 {
			return unknownVerb(c, words[0]) // its flags are unknown because it is
		}
		return config.FlagError(c.Flags(), err)
	})
	root.CompletionOptions.DisableDefaultCmd = true
	root.AddCommand(
		bootCommand(stdout, talk, code),
		surveyCommand(stdout, talk, code),
		bisectCommand(stdout, talk, code),
		smokeCommand(stdout, talk, code),
		faultsCommand(stdout, talk, code),
		autopsyCommand(stdout, code),
		symbolizeCommand(os.Stdin, stdout, talk, code),
		debugCommand(stdout, talk, code),
		doctorCommand(stdout, talk, code),
		configCommand(stdout, talk),
		cacheCommand(stdout),
		completionCommand(stdout),
		versionCommand(stdout),
	)
	root.SetHelpCommand(helpCommand(root))
	return root
}
