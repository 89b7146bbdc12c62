package main

import (
	"os"
	"os/exec"
	"regexp"
	"testing"

	"kcatch/internal/fixtures"
)

// TestBreakExamples: each --break of the help and the docs is a place of Debian's 6.1, so that an example can be tried.
func TestBreakExamples(t *testing.T) {
	text := surveyExample + debugExample
	for _, doc := range []string{"../../README.md", "../../docs/survey.md", "../../docs/debug.md"} {
		data, err := os.ReadFile(doc)
		if err != nil {
			t.Fatal(err)
		}
		text += string(data)
	}
	k := fixtures.Find(t, fixtures.Good61)
	args := []string{"survey", "--dry-run", "--kernel", k.BzImage, "--vmlinux", k.Vmlinux}
	for _, m := range regexp.MustCompile("--break ([^` |\n]+)").FindAllStringSubmatch(text, -1) {
		if m[1] != "FUNCTION" && m[1] != "FILE:LINE" {
			args = append(args, "--break", m[1])
		}
	}
	if len(args) < 12 {
		t.Errorf("few examples: %q", args)
	}
	if out, err := exec.Command("kcatch", args...).CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
