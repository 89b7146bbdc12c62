package main

import (
	"io"

	"github.com/spf13/cobra"

	"kcatch/harness/config"
	"kcatch/harness/report"
)

// bindPlain defines --plain for a verb whose settings are not those of a boot.
func bindPlain(cmd *cobra.Command, plain *bool) {
	cmd.Flags().BoolVar(plain, "plain", false, "what a pipe would get, also on a terminal: no colors, no moving lines")
}

// plainStyle is the look of such a verb's text.
func plainStyle(stdout io.Writer, plain bool) report.Style {
	return styleOf(config.Boot{Plain: plain}, stdout)
}
