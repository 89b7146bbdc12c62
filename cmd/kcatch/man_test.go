package main

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"kcatch/internal/fixtures"
)

func wholeCommand() *cobra.Command {
	code := 0
	return rootCommand(io.Discard, newTalk(io.Discard, false), &code)
}

// rendered is a page as groff sets it, on long lines. It is the outside oracle: a request that is none, an escape that is none or an unknown
// character is a warning, and a warning fails the test.
func rendered(t *testing.T, text string) string {
	t.Helper()
	_, err := exec.LookPath("groff")
	fixtures.Need(t, err == nil, "groff", "apt-get install groff-base")
	cmd := exec.Command("groff", "-man", "-ww", "-Tutf8", "-P-bcou", "-rLL=1000n", "-rHY=0")
	cmd.Stdin = strings.NewReader(text)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil || stderr.Len() > 0 {
		t.Errorf("groff: %v\n%s", err, stderr.String())
	}
	return string(out)
}

// squeezed has one blank for each run of them: filling is roff's.
func squeezed(text string) string { return strings.Join(strings.Fields(text), " ") }

// TestEveryVerbHasAPage: and on it are the words of --help, each flag with its text, and the examples.
func TestEveryVerbHasAPage(t *testing.T) {
	root, dir := wholeCommand(), t.TempDir()
	if err := writeManual(root, dir); err != nil {
		t.Fatal(err)
	}
	var all []*cobra.Command
	var walk func(*cobra.Command)
	walk = func(c *cobra.Command) {
		all = append(all, c)
		for _, sub := range c.Commands() {
			walk(sub)
		}
	}
	walk(root)
	if len(all) < 10 {
		t.Errorf("few verbs: %d", len(all))
	}
	for _, c := range all {
		name := strings.Join(strings.Fields(c.CommandPath()), "-") + ".1"
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			t.Errorf("%s: %v", c.CommandPath(), err)
			continue
		}
		text := squeezed(rendered(t, string(data)))
		want := append(strings.Split(c.Long, "\n"), strings.Split(c.Example, "\n")...)
		want = append(want, c.Short, c.CommandPath())
		c.Flags().VisitAll(func(f *pflag.Flag) {
			if f.Hidden {
				return
			}
			word, usage := pflag.UnquoteUsage(f)
			want = append(want, "--"+f.Name+" "+word, usage)
		})
		for _, w := range want {
			if w = squeezed(w); !strings.Contains(text, w) {
				t.Errorf("%s lacks %q", name, w)
			}
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != len(all) {
		t.Errorf("%d pages for %d verbs, %v", len(files), len(all), err)
	}
}

func TestRoff(t *testing.T) {
	for text, want := range map[string]string{
		".config is a file": ".config is a file", "'x' and `y`": "'x' and `y`", `a\nb -- c`: `a\nb -- c`, "__SetPageReserved ~/linux ^ \"q\"": `__SetPageReserved ~/linux ^ "q"`,
		"<(kcatch completion bash)": "<(kcatch completion bash)",
	} {
		got := rendered(t, ".TH X 1\n.SH NAME\n"+line(text)+"\n")
		if !strings.Contains(got, want) {
			t.Errorf("%q is set as %q", text, got)
		}
	}
	if text := paragraphs("one\ntwo\n\n  as it\n    stands"); text != "one\ntwo\n.PP\n.nf\n  as it\n    stands\n.fi\n" {
		t.Errorf("%q", text)
	}
}

// TestPackageDoc: the manual in the package comment of main names every verb.
func TestPackageDoc(t *testing.T) {
	data, err := os.ReadFile("main.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range wholeCommand().Commands() {
		if !regexp.MustCompile(`(?m)^//\tkcatch ` + c.Name() + `\b`).Match(data) {
			t.Errorf("main.go does not tell of kcatch %s", c.Name())
		}
	}
}

// TestEveryVerbIsPlain: what prints a result takes --plain and --no-color.
func TestEveryVerbIsPlain(t *testing.T) {
	for _, c := range manualOf(wholeCommand()) {
		if c.HasSubCommands() || slices.Contains([]string{"help", "version", "completion", "config"}, c.Name()) {
			continue
		}
		for _, f := range []string{"plain", "no-color"} {
			if c.Flags().Lookup(f) == nil {
				t.Errorf("%s does not know --%s", c.CommandPath(), f)
			}
		}
	}
}
