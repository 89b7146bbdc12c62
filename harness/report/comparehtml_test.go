package report

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"kcatch/harness/verdict"
)

// TestCompareHTMLHoldsHostileText: a comparison of two files that somebody wrote is text, and the page runs its own script alone.
func TestCompareHTMLHoldsHostileText(t *testing.T) {
	var c verdict.Comparison
	fill(reflect.ValueOf(&c).Elem(), hostileText)
	var b bytes.Buffer
	if err := CompareHTML(&b, &c); err != nil {
		t.Fatal(err)
	}
	out := b.String()
	wellFormed(t, out)
	if strings.ContainsFunc(out, func(r rune) bool {
		return r != '\n' && r != '\t' && unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp)
	}) {
		t.Error("a control character came through")
	}
	for _, line := range strings.Split(out, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "::") || ciCommand.MatchString(line) {
			t.Errorf("a CI would act upon %.200q", line)
		}
	}
	doc, err := html.Parse(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	scripts := 0
	for n := range doc.Descendants() {
		switch {
		case n.Type == html.CommentNode:
			t.Errorf("a comment: %.80q", n.Data)
		case n.Data == "img":
			t.Error("a tag of the hostile text came through")
		case n.Data == "script" && n.Type == html.ElementNode:
			scripts++
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || strings.HasPrefix(a.Val, "javascript:") {
				t.Errorf("%s=%.80q", a.Key, a.Val)
			}
		}
	}
	if scripts != 1 || strings.Count(out, "parent.owned=1&gt;") < 10 {
		t.Errorf("%d scripts, the hostile text is there %d times", scripts, strings.Count(out, "parent.owned=1&gt;"))
	}
}

// TestCompareHTML: a row for each stage and for what stands out, with bars in proportion; the rest is not there.
func TestCompareHTML(t *testing.T) {
	c := verdict.Comparison{A: "old", B: "new", Slower: 1, Cells: []verdict.CellComparison{{BootsA: 1, BootsB: 1, Scale: 1, Differences: []verdict.Difference{
		{Kind: "initcall", Name: "slow_init", Level: "fs", A: 0.025, B: 0.1, Change: 0.075, Noise: 0.02, Stands: verdict.Slower},
		{Kind: "boot", Name: "boot", A: 1, B: 1, Noise: 0.5}, {Kind: "initcall", Name: "other_init", A: 0.3, B: 0.3, Noise: 0.1},
	}}}}
	var b bytes.Buffer
	if err := CompareHTML(&b, &c); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"1 slower, 0 faster in B", `<i class="g fail" aria-hidden="true">▲</i>slower`, "initcall slow_init <em>fs</em>", "the whole boot",
		`width="75" height="6"`, `width="300" height="6" fill="#cc4433"`, `d="M15 9.5V18.5M135 9.5V18.5"`} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String()[strings.Index(b.String(), "<body"):])
		}
	}
	if strings.Contains(b.String(), "other_init") {
		t.Error("what does not stand out has a row")
	}
}
