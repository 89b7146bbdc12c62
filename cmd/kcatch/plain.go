package main

import (
	"io"

	"github.com/spf13/cobra"

	"kcatch/harness/config"
	"kcatch/harness/report"
)

// appearance is how a verb whose settings are not those of a boot was told to write.
type appearance struct{ plain, noColor bool }

// bindAppearance defines the flags, which are a boot's.
func (a *appearance) bindAppearance(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&a.noColor, "no-color", false, "no colors, also on a terminal")
	cmd.Flags().BoolVar(&a.plain, "plain", false, "what a pipe would get, also on a terminal: no colors, no moving lines")
}

// style is the look of the text on standard output.
func (a appearance) style(stdout io.Writer) report.Style {
	return styleOf(config.Boot{Plain: a.plain, NoColor: a.noColor}, stdout)
}
