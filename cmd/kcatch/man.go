package main

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kcatch/internal/blame"
)

// Manual pages are made of the very text that --help prints, so that the two cannot differ. cobra's own generator (cobra/doc) takes that
// text for Markdown: an underscore of a function's name becomes bold there, a "<(" of a shell's a tag, and the words for a flag's value
// are lost; it would also bring two more libraries.

// manSection is that of programs.
const manSection = "1"

// writeManual writes a page for each verb into a directory, which is made if need be.
func writeManual(root *cobra.Command, dir string) error {
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return &blame.Error{Kind: blame.Infrastructure, Msg: "--man: " + err.Error(), Err: err}
	}
	for _, cmd := range manualOf(root) {
		name := filepath.Join(dir, pageName(cmd)+"."+manSection)
		if err := os.WriteFile(name, []byte(page(cmd)), 0o666); err != nil {
			return &blame.Error{Kind: blame.Infrastructure, Msg: "--man: " + err.Error(), Err: err}
		}
	}
	return nil
}

// manualOf is every verb that has a page: cmd, and what is below it.
func manualOf(cmd *cobra.Command) []*cobra.Command {
	list := []*cobra.Command{cmd}
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			list = append(list, manualOf(sub)...)
		}
	}
	return list
}

// pageName is "kcatch-cache-ls" for "kcatch cache ls".
func pageName(cmd *cobra.Command) string { return strings.ReplaceAll(cmd.CommandPath(), " ", "-") }

// page is a manual page in roff's man macros, man(7) and groff_man(7).
func page(cmd *cobra.Command) string {
	cmd.InitDefaultHelpFlag()
	var b strings.Builder
	fmt.Fprintf(&b, ".TH %s %s \"%s\" \"kcatch %s\" \"kcatch manual\"\n", strings.ToUpper(roff(pageName(cmd))), manSection, commitDay(), roff(version()))
	fmt.Fprintf(&b, ".SH NAME\n%s \\- %s\n", roff(pageName(cmd)), roff(cmd.Short))
	fmt.Fprintf(&b, ".SH SYNOPSIS\n.B %s\n", roff(cmd.UseLine()))
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, ".br\n.B %s\n.I verb\n", roff(cmd.CommandPath()))
	}
	long := cmd.Long
	if long == "" {
		long = strings.ToUpper(cmd.Short[:1]) + cmd.Short[1:] + "."
	}
	b.WriteString(".SH DESCRIPTION\n" + paragraphs(long))
	if cmd.HasAvailableSubCommands() {
		b.WriteString(".SH VERBS\n")
		for _, sub := range cmd.Commands() {
			if !sub.Hidden {
				fmt.Fprintf(&b, ".TP\n.B %s\n%s; see %s(%s).\n", roff(sub.Name()), roff(sub.Short), roff(pageName(sub)), manSection)
			}
		}
	}
	b.WriteString(".SH OPTIONS\n")
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			b.WriteString(option(f))
		}
	})
	if cmd.Example != "" {
		b.WriteString(".SH EXAMPLES\n" + verbatim(cmd.Example))
	}
	b.WriteString(".SH SEE ALSO\n" + seeAlso(cmd) + "\n")
	return b.String()
}

// option is a flag with the word for its value, its text and its default.
func option(f *pflag.Flag) string {
	word, usage := pflag.UnquoteUsage(f)
	names := `\-\-` + roff(f.Name)
	if f.Shorthand != "" {
		names = `\-` + roff(f.Shorthand) + ", " + names
	}
	text := fmt.Sprintf(".TP\n\\fB%s\\fR", names)
	if word != "" {
		text += fmt.Sprintf(" \\fI%s\\fR", roff(word))
	}
	text += "\n" + line(usage)
	switch f.DefValue {
	case "", "false", "[]", "0":
	default:
		text += " (default " + roff(strings.Trim(f.DefValue, "[]")) + ")"
	}
	return text + "\n"
}

// paragraphs sets text: one with indented lines as it stands, others filled.
func paragraphs(text string) string {
	var b strings.Builder
	for i, p := range strings.Split(strings.Trim(text, "\n"), "\n\n") {
		if i > 0 {
			b.WriteString(".PP\n")
		}
		lines := strings.Split(p, "\n")
		if slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, " ") }) {
			b.WriteString(verbatim(p))
			continue
		}
		for _, l := range lines {
			b.WriteString(line(l) + "\n")
		}
	}
	return b.String()
}

func verbatim(text string) string {
	var b strings.Builder
	b.WriteString(".nf\n")
	for l := range strings.Lines(strings.Trim(text, "\n") + "\n") {
		b.WriteString(line(strings.TrimRight(l, "\n")) + "\n")
	}
	return b.String() + ".fi\n"
}

// line is text that stands at the begin of a line, where a dot or a quote would be a request.
func line(text string) string {
	if strings.HasPrefix(text, ".") || strings.HasPrefix(text, "'") {
		return `\&` + roff(text)
	}
	return roff(text)
}

// roff escapes what roff would read: a backslash, and the characters that it replaces by typographic ones, groff_char(7).
func roff(text string) string {
	return strings.NewReplacer(`\`, `\e`, "-", `\-`, "'", `\(aq`, "`", `\(ga`, "^", `\(ha`, "~", `\(ti`, `"`, `\(dq`).Replace(text)
}

// seeAlso names the pages around one.
func seeAlso(cmd *cobra.Command) string {
	var names []string
	if cmd.HasParent() {
		names = append(names, pageName(cmd.Parent()))
	}
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			names = append(names, pageName(sub))
		}
	}
	for i, n := range names {
		names[i] = fmt.Sprintf("\\fB%s\\fR(%s)", roff(n), manSection)
	}
	return strings.Join(append(names, `\fBqemu\-system\-x86_64\fR(1)`), ",\n")
}

// commitDay is the day of the commit that this binary was built from, or nothing: equal sources give equal pages.
func commitDay() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return ""
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" && len(s.Value) >= len("2006-01-02") {
			return s.Value[:len("2006-01-02")]
		}
	}
	return ""
}
