package main

import (
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"kcatch/harness/config"
	"kcatch/harness/verdict"
)

func configCommand(stdout io.Writer, talk *talk) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "print the settings in force, and where each comes from",
		Long: `Print each setting of boot with its value and its origin: flag, environment, profile or default. It takes the flags
of boot, so that a command line can be tried: kcatch config --profile quick --memory 1G`,
		Args: cobra.ArbitraryArgs,
	}
	config.BindBootFlags(cmd.Flags())
	completeBoot(cmd)
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		_, resolved, err := config.ResolveBoot(cmd.Flags(), os.LookupEnv, args, verdict.ClassNames())
		if err != nil {
			return err
		}
		for _, n := range resolved.Notes {
			talk.remark(n)
		}
		for _, v := range resolved.Values {
			if _, err := fmt.Fprintf(stdout, "%-14s %-24s %s\n", v.Key, v.Value, v.Origin); err != nil {
				return err
			}
		}
		return nil
	}
	return cmd
}
