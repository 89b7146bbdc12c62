package main

import (
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kcatch/configs"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

const completionLong = `Print a script that completes kcatch's verbs, flags and their values.

  bash:  source <(kcatch completion bash)        for good: kcatch completion bash > /etc/bash_completion.d/kcatch
  zsh:   source <(kcatch completion zsh)         for good: kcatch completion zsh > "${fpath[1]}/_kcatch"
  fish:  kcatch completion fish | source         for good: kcatch completion fish > ~/.config/fish/completions/kcatch.fish`

var shells = []string{"bash", "zsh", "fish"}

func completionCommand(stdout io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:       "completion SHELL",
		Short:     "shell completion for bash, zsh or fish",
		Long:      completionLong,
		ValidArgs: shells,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 1 && slices.Contains(shells, args[0]) {
				return nil
			}
			return blame.New(blame.Usage, "completion: name one shell: bash, zsh or fish", "kcatch completion bash")
		},
		RunE: func(cmd *cobra.Command, args []string) error {
			switch args[0] {
			case "zsh":
				return cmd.Root().GenZshCompletion(stdout)
			case "fish":
				return cmd.Root().GenFishCompletion(stdout, true)
			}
			return cmd.Root().GenBashCompletionV2(stdout, true)
		},
	}
}

// What the shell offers besides the words given.
const (
	wordsOnly = cobra.ShellCompDirectiveNoFileComp
	andFiles  = cobra.ShellCompDirectiveDefault
	onlyDirs  = cobra.ShellCompDirectiveFilterDirs
)

// completeBoot offers the values of boot's flags that have names, and the TREEs. Flags that mean something else to the verb are left
// out.
func completeBoot(cmd *cobra.Command, without ...string) {
	var trees, patches []string
	for _, s := range kernels.Sources() {
		trees = append(trees, s.Name+"\t"+s.Text)
	}
	for _, p := range kernels.Patches() {
		patches = append(patches, p.Name+"\t"+p.Asserts)
	}
	cmd.ValidArgsFunction = func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, wordsOnly
		}
		return trees, andFiles
	}
	classes := verdict.ClassNames()
	for _, f := range []struct {
		flag  string
		words []string
		rest  cobra.ShellCompDirective
	}{
		{"patch", patches, andFiles},
		{"base", []string{kernels.BaseTiny, kernels.BaseDefconfig}, andFiles},
		{"config", configs.Fragments(), andFiles},
		{"make", []string{"LLVM=1", "CC="}, wordsOnly | cobra.ShellCompDirectiveNoSpace},
		{"initrd", []string{"none"}, andFiles},
		{"modules", nil, onlyDirs},
		{"run", nil, wordsOnly}, {"check", nil, wordsOnly},
		{"append", []string{"nokaslr", "debug", "quiet", "panic=-1"}, wordsOnly},
		{"memory", []string{"256M", "512M", "1G", "2G"}, wordsOnly},
		{"smp", []string{"1", "2", "4"}, wordsOnly},
		{"machine", []string{"q35", "pc", "microvm"}, wordsOnly},
		{"cpu", []string{"max", "qemu64", "Nehalem", "Skylake-Server", "host"}, wordsOnly},
		{"accel", []string{"auto", "tcg", "kvm"}, wordsOnly},
		{"until", []string{"init", "console", "start_kernel"}, wordsOnly},
		{"timeout", []string{"30s", "120s", "10m"}, wordsOnly},
		{"fail-on", append([]string{"none"}, deaths(classes)...), wordsOnly},
		{"repeat", nil, wordsOnly},
		{"expect", classes, wordsOnly},
		{"only", deaths(classes), wordsOnly},
		{"who-wrote", []string{"auto"}, wordsOnly},
		{"values", []string{"none", "args", "all"}, wordsOnly},
		{"values-depth", []string{"0", "1", "2", "3"}, wordsOnly},
		{"profile", configs.Profiles(), andFiles},
		{"json", []string{"-"}, andFiles},
		{"out", nil, onlyDirs},
	} {
		if slices.Contains(without, f.flag) {
			continue
		}
		words := f.words
		if err := cmd.RegisterFlagCompletionFunc(f.flag, func(_ *cobra.Command, _ []string, typed string) ([]string, cobra.ShellCompDirective) {
			if f.flag == "fail-on" {
				return nextInList(words, typed), f.rest
			}
			return beginning(words, typed), f.rest
		}); err != nil {
			panic("completion: " + err.Error()) // a flag that is none
		}
	}
}

// beginning are the words that go on from what was typed.
func beginning(words []string, typed string) []string {
	var fit []string
	for _, w := range words {
		if strings.HasPrefix(w, typed) {
			fit = append(fit, w)
		}
	}
	return fit
}

// nextInList goes on with a list that commas part.
func nextInList(words []string, typed string) []string {
	comma := strings.LastIndexByte(typed, ',') + 1
	var fit []string
	for _, w := range beginning(words, typed[comma:]) {
		fit = append(fit, typed[:comma]+w)
	}
	return fit
}

// describeForShell takes the quotes off that mark the word for a flag's value in its help: cobra hands a shell the text as it is.
func describeForShell(cmd *cobra.Command) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = strings.ReplaceAll(f.Usage, "`", "") })
	for _, sub := range cmd.Commands() {
		describeForShell(sub)
	}
}

func deaths(classes []string) []string {
	return slices.DeleteFunc(slices.Clone(classes), func(c string) bool { return c == string(verdict.OK) })
}
