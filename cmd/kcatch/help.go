package main

import "github.com/spf13/cobra"

// helpCommand is cobra's, but it refuses what is no verb: cobra's own ends well then.
func helpCommand(root *cobra.Command) *cobra.Command {
	man := ""
	cmd := &cobra.Command{
		Use:   "help [VERB]",
		Short: "what a verb does, and its flags",
		Long:  "Print what a verb does, and its flags: what the verb's --help prints. With --man, write the same as manual pages.",
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			var verbs []string
			for _, c := range root.Commands() {
				if len(args) == 0 && c.IsAvailableCommand() {
					verbs = append(verbs, c.Name()+"\t"+c.Short)
				}
			}
			return verbs, cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if man != "" {
				return writeManual(root, man)
			}
			c, rest, err := root.Find(args)
			if err != nil {
				return err
			}
			if len(rest) > 0 && c.HasSubCommands() {
				return unknownVerb(c, rest[0])
			}
			if len(rest) > 0 {
				return unknownVerb(root, rest[0])
			}
			c.InitDefaultHelpFlag()
			return c.Help()
		},
	}
	cmd.Flags().StringVar(&man, "man", "", "write a manual page for each verb into `DIR`")
	_ = cmd.RegisterFlagCompletionFunc("man", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { return nil, onlyDirs })
	return cmd
}
