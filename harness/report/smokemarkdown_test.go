package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"os/exec"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// readMarkdown looks at what can be said without a parser of Markdown: the limit, and that each folded part is closed.
func readMarkdown(text string, _ *verdict.Smoke) error {
	if len(text) > 1<<20 {
		return errors.New("more than GitHub takes")
	}
	fence, open := "", 0
	for _, line := range strings.Split(text, "\n") {
		ticks := line[:len(line)-len(strings.TrimLeft(line, "`"))]
		switch {
		case fence != "" && len(ticks) >= len(fence) && line == ticks:
			fence = ""
		case fence == "" && len(ticks) >= 3 && line == ticks+"text":
			fence = ticks
		case fence == "" && strings.HasPrefix(line, "<details>"):
			open++
		case fence == "" && line == "</details>":
			open--
		}
	}
	if open != 0 || fence != "" {
		return errors.New("a folded part or a block stays open")
	}
	return nil
}

// TestMarkdownByGitHubsOwnParser: what GitHub's implementation makes of a summary has the tags that the report writes and no other,
// and the guest's text is in code.
func TestMarkdownByGitHubsOwnParser(t *testing.T) {
	_, err := exec.LookPath("cmark-gfm")
	fixtures.Need(t, err == nil, "cmark-gfm", "make test-deps")
	cases := map[string]*verdict.Smoke{"all": hostileSmoke(strings.Join(attacks, " ")), "example": exampleSmoke()}
	for _, attack := range attacks {
		cases[attack] = hostileSmoke(attack)
	}
	for name, s := range cases {
		var b bytes.Buffer
		if err := SmokeMarkdown(&b, s); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("cmark-gfm", "--unsafe", "-e", "table", "-e", "autolink", "-e", "strikethrough", "-e", "tasklist", "-e", "footnotes")
		cmd.Stdin = &b
		page, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		out := strings.NewReplacer("\ufffe", "", "\uffff", "").Replace(string(page)) // HTML has them, the reader of XML below does not
		if err := onlyTags(out, "h2 p ul li strong table thead tbody tr th td details summary code pre", "align class"); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if err := wordOnlyIn(out, "evil", "code"); err != nil {
			t.Errorf("%q: %v", name, err)
		}
		if rows := strings.Count(out, "<tr>"); rows != len(s.Cells)+1 {
			t.Errorf("%q: %d rows of a table for %d cells", name, rows, len(s.Cells))
		}
		if n := strings.Count(out, "<td"); n != 5*len(s.Cells) {
			t.Errorf("%q: %d columns in all for %d cells", name, n, len(s.Cells))
		}
	}
}

// wordOnlyIn reports a word outside of the element.
func wordOnlyIn(text, word, element string) error {
	dec := xml.NewDecoder(strings.NewReader("<x>" + text + "</x>"))
	depth := 0
	for {
		tok, err := dec.Token()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch tok := tok.(type) {
		case xml.StartElement:
			if tok.Name.Local == element {
				depth++
			}
		case xml.EndElement:
			if tok.Name.Local == element {
				depth--
			}
		case xml.CharData:
			if depth == 0 && strings.Contains(string(tok), word) {
				return errors.New("outside of " + element + ": " + string(tok))
			}
		}
	}
}

func FuzzSmokeMarkdown(f *testing.F) { fuzzSink(f, "summary.md") }
