package main

import (
	"errors"
	"strings"

	"github.com/spf13/cobra"

	"kcatch/harness/report"
	"kcatch/internal/blame"
	"kcatch/internal/nearest"
)

// maxRefusal is how many lines standard error has at most when there is no verdict, the stages before it included; but a
// refusal always gets minRefusal, however much a long build has said before.
const (
	maxRefusal = 6
	minRefusal = 4
)

// refuse says why there is no verdict: the telling line, some of the evidence, and what to do.
func refuse(talk *talk, err error) {
	if blame.Of(err) == blame.Interrupted {
		talk.print("kcatch: interrupted")
		var e *blame.Error
		if errors.As(err, &e) && e.Hint != "" { // its own, not that of what was interrupted
			talk.print("hint: " + report.Clean(firstLine(e.Hint), 0))
		}
		return
	}
	talk.print("kcatch: " + report.Clean(firstLine(err.Error()), 0))
	left := max(minRefusal, maxRefusal-talk.lines()+1) - 1
	hint := blame.Hint(err)
	if hint != "" {
		left--
	}
	if detail := blame.Detail(err); detail != "" {
		for _, l := range report.Lines(detail, 160) {
			if left <= 0 {
				break
			}
			talk.print("  " + l)
			left--
		}
	}
	if hint != "" {
		talk.print("hint: " + report.Clean(firstLine(hint), 0))
	}
}

func firstLine(s string) string {
	l, _, _ := strings.Cut(strings.TrimSpace(s), "\n")
	return l
}

// unknownVerb refuses a word that is no verb of parent, with the nearest one.
func unknownVerb(parent *cobra.Command, word string) error {
	path := parent.CommandPath()
	hint := "kcatch help lists the verbs"
	if parent.HasParent() {
		hint = path + " --help lists them"
	}
	var verbs []string
	for _, c := range parent.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			verbs = append(verbs, c.Name())
		}
	}
	if near := nearest.Name(word, verbs, 3); near != "" {
		hint = "did you mean " + path + " " + near + "?"
	}
	if parent.HasParent() {
		word = path + " " + word
	}
	return blame.New(blame.Usage, word+": no such verb", hint)
}

// noArgs refuses arguments of a verb that has none.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	return blame.New(blame.Usage, cmd.CommandPath()+": takes no argument, and there is "+args[0], cmd.CommandPath()+" --help")
}
