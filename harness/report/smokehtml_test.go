package report

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"unicode"

	"golang.org/x/net/html"

	"kcatch/harness/verdict"
)

func page(t *testing.T, s *verdict.Smoke) string {
	t.Helper()
	var b bytes.Buffer
	if err := SmokeHTML(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What a page may be made of. Nothing of it fetches, sends, frames or runs anything, but for the one script.
var (
	htmlElements = strings.Fields(`html head meta title style script body header main nav section article a b i em span p br ol ul li dl dt dd div pre code kbd
		h2 h3 h4 table thead tbody tr th td button svg g rect path line text sup details summary figure figcaption input label`)
	htmlAttributes = strings.Fields(`class id href title lang charset content http-equiv name tabindex hidden type rel role colspan rowspan scope placeholder
		spellcheck open data-name aria-label aria-hidden xmlns viewbox preserveaspectratio x y x1 x2 y1 y2 dx dy d width height fill fill-opacity stroke
		stroke-dasharray font-style stroke-opacity stroke-width font-family font-size font-weight`)
	htmlVoid = strings.Fields("meta br input")
)

func TestSmokeHTMLHoldsHostileText(t *testing.T) {
	out := page(t, hostilePage())
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
	wellFormed(t, out)
	if n := strings.Count(out, "parent.owned=1&gt;"); n < 500 {
		t.Errorf("the hostile text is there %d times only: what did fill fill?", n)
	}

	doc, err := html.Parse(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	ids, links := map[string]bool{}, []string{}
	scripts, styles := []string{}, []string{}
	for n := range doc.Descendants() {
		if n.Type == html.CommentNode {
			t.Errorf("a comment: %.80q", n.Data)
		}
		if n.Type != html.ElementNode {
			continue
		}
		if !slices.Contains(htmlElements, n.Data) {
			t.Errorf("an element that no template has: %s", n.Data)
		}
		switch n.Data {
		case "script":
			scripts = append(scripts, n.FirstChild.Data)
		case "style":
			styles = append(styles, n.FirstChild.Data)
		}
		for _, a := range n.Attr {
			if !slices.Contains(htmlAttributes, strings.ToLower(a.Key)) {
				t.Errorf("an attribute that no template has: %s of %s", a.Key, n.Data)
			}
			switch a.Key {
			case "id":
				if ids[a.Val] {
					t.Errorf("two elements with id %.80q", a.Val)
				}
				ids[a.Val] = true
			case "href":
				links = append(links, a.Val)
			}
		}
	}
	for _, l := range links {
		if !strings.HasPrefix(l, "#") || !ids[l[1:]] {
			t.Errorf("a link to nowhere: %.80q", l)
		}
	}
	if len(scripts) != 1 || len(styles) != 1 || len(links) < 100 {
		t.Fatalf("%d scripts, %d styles, %d links", len(scripts), len(styles), len(links))
	}
	// The policy allows the script and the style that are there.
	for _, text := range []string{scripts[0], styles[0]} {
		sum := sha256.Sum256([]byte(text))
		if hash := base64.StdEncoding.EncodeToString(sum[:]); !strings.Contains(html.UnescapeString(out), "'sha256-"+hash+"'") {
			t.Errorf("the policy does not allow %.60q", text)
		}
	}
}

// wellFormed checks that elements are closed in the order in which they were opened; the parser would mend it in silence.
func wellFormed(t *testing.T, page string) {
	t.Helper()
	var open []string
	for z := html.NewTokenizer(strings.NewReader(page)); ; {
		switch z.Next() {
		case html.ErrorToken:
			if z.Err() != io.EOF || len(open) > 0 {
				t.Fatalf("%v, open at the end: %v", z.Err(), open)
			}
			return
		case html.StartTagToken:
			if name, _ := z.TagName(); !slices.Contains(htmlVoid, string(name)) {
				open = append(open, string(name))
			}
		case html.EndTagToken:
			name, _ := z.TagName()
			if len(open) == 0 || open[len(open)-1] != string(name) {
				t.Fatalf("</%s> where %v are open", name, open)
			}
			open = open[:len(open)-1]
		}
	}
}

// textOf is the text of the element with an id, as a reader sees it.
func textOf(t *testing.T, out, id string) string {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(out))
	if err != nil {
		t.Fatal(err)
	}
	for n := range doc.Descendants() {
		if n.Type == html.ElementNode && slices.Contains(n.Attr, html.Attribute{Key: "id", Val: id}) {
			var b strings.Builder
			for d := range n.Descendants() {
				if d.Type == html.TextNode {
					b.WriteString(d.Data)
				}
			}
			return b.String()
		}
	}
	t.Fatalf("no element %q", id)
	return ""
}

func cellOf(kernel, machine, line string, status verdict.CellStatus, r *verdict.Result) verdict.Cell {
	name := kernel + "/" + machine
	if line != "" {
		name += "/" + line
	}
	return verdict.Cell{Name: name, Kernel: kernel, Machine: machine, Append: line, Status: status, Attempts: 1, Result: r, Seconds: 1.5, Repeat: "kcatch smoke --only " + name}
}

func TestSmokeHTMLShowsTheDeath(t *testing.T) {
	var s verdict.Smoke
	r := death()
	zero, one := 0, 1
	r.CPUs[0].Frames[1].Args = []verdict.Arg{{Name: "p", Type: "int *", Value: "0x10"}, {Name: "q", Type: "int", Value: "<optimized out>"}, {Name: "n", Type: "int", Value: "5", Local: true}}
	r.WhoWrote = []verdict.Write{{Expression: "page->x", Address: 0x40, Size: 4, Old: 1, New: 2, Writers: 3, Function: "writer", File: "w.c", Line: 9, Frames: []verdict.Frame{{Function: "writer", PC: 5}}}}
	r.Checks = []verdict.Check{{Name: "mounts", Command: "mount", Status: &one, Output: []string{"nothing is mounted"}}, {Name: "lost"}, {Name: "slow", Note: "stopped after 1m0s"}}
	r.Subtests = []verdict.Subtest{{Name: "suite/bad", Status: "fail", Lines: []string{"expected 1"}}, {Name: "suite/good", Status: "pass"}, {Name: "suite/gone", Status: "lost"}}
	r.Timeline = []verdict.Mark{{Stage: "firmware"}, {Stage: "start_kernel", Seconds: 0.2}}
	r.Initcalls = []verdict.InitcallTime{{Function: "quick_init", Start: 0.2, Seconds: 0.001, Returned: &zero}, {Function: "stuck_init", Module: "m", Start: 0.21}}
	r.Timing.Boot = 0.3
	c := cellOf("stable", "q35", "quiet", verdict.CellFlaky, r)
	c.Attempts, c.Tries = 2, []verdict.Try{{Summary: "it died"}, {Summary: "it lived", Passed: true, Seconds: 2, Artifacts: "/a/2"}}
	s.Add(c)
	s.Add(cellOf("stable", "microvm", "quiet", verdict.CellPass, &verdict.Result{Verdict: verdict.Good, Summary: "reached init"}))
	skipped := cellOf("broken", "q35", "quiet", verdict.CellSkip, nil)
	skipped.Reason = "CONFIG_X does not take"
	s.Add(skipped)
	out := page(t, &s)
	wellFormed(t, out)
	for id, want := range map[string][]string{
		"matrix":                         {"stable", "microvm", "quiet", "broken", "early-exception", "CONFIG_X does not take"},
		"cell/stable/q35/quiet":          {"#UD in f()", "setup_arch (start_kernel), 57ms after power-on", "a note"},
		"cell/stable/q35/quiet/attempts": {"it died", "it lived", "2.00 s", "/a/2"},
		"cell/stable/q35/quiet/cause":    {"kernel BUG at include/linux/f.h:503!", "BUG_ON(x)", "page->x", `"\x1b[31m"`, "patch p", "▸", "    f(\\x1b[2J);", `pfn\x1b 0x0`},
		"cell/stable/q35/quiet/chain":    {"exception #UD (6)", "↳f", "inlined", "◀ here", "int * p = 0x10", "1 local, 1 without a value", "int n = 5", "no value: q", "guess", "not in the kernel's code"},
		"cell/stable/q35/quiet/writes":   {"page->x (0x40, 4 bytes)", "3 writes; the last: 0x1 → 0x2 by writer  w.c:9"},
		"cell/stable/q35/quiet/warnings": {"WARNING at x.c:1"},
		"cell/stable/q35/quiet/checks":   {"mounts", "exit status 1", "nothing is mounted", "did not come back", "stopped after 1m0s"},
		"cell/stable/q35/quiet/tests":    {"1 fail, 1 pass, 1 lost", "suite/bad", "expected 1", "suite/gone", "suite/good"},
		"cell/stable/q35/quiet/timeline": {"start_kernel", "✕ early-exception at 300 ms", "stuck_init [m]", "did not return", "1.0 ms"},
		"cell/stable/q35/quiet/log":      {"[    0.000000] one", "two \\x1b[31m", "not on any console"},
		"cell/stable/q35/quiet/again":    {"kcatch smoke --only stable/q35/quiet", "sh /a/qemu.sh nokaslr -S", "gdb x"},
		"cell/stable/microvm/quiet":      {"reached init"},
		"cell/broken/q35/quiet":          {"CONFIG_X does not take"},
	} {
		got := textOf(t, out, id)
		for _, w := range want {
			if !strings.Contains(got, w) {
				t.Errorf("%s lacks %q:\n%s", id, w, got)
			}
		}
	}
}

// The matrix is as narrow as it can be, and what is not in it is empty.
func TestGrid(t *testing.T) {
	var cells []verdict.Cell
	add := func(k, m, a string) { cells = append(cells, cellOf(k, m, a, verdict.CellPass, nil)) }
	add("k1", "q35", "quiet")
	add("k1", "microvm", "quiet")
	add("k1", "q35", "debug") // an exclusion mixed their order
	add("k2", "q35", "debug")
	ids := addresses(cells)
	g := gridOf(cells, ids)
	if got := fmt.Sprint(g.Groups, g.Columns, g.Wide, " ", g.Corner); got != "[{q35 2} {microvm 1}] [quiet debug quiet] true kernel" {
		t.Errorf("heads: %s", got)
	}
	shape := func(g grid) (s string) {
		for _, r := range g.Rows {
			s += r.Text + ":"
			for _, b := range r.Boxes {
				s += fmt.Sprint(len(b))
			}
			s += " "
		}
		return s
	}
	if got := shape(g); got != "k1:111 k2:010 " {
		t.Errorf("rows: %s", got)
	}
	if b := g.Rows[1].Boxes[1][0]; b.ID != "cell/k2/q35/debug" {
		t.Errorf("the box of k2 leads to %s", b.ID)
	}

	cells = nil
	for m := range 5 {
		for a := range 4 {
			add("only", fmt.Sprint("m", m), fmt.Sprint("a", a))
		}
	}
	g = gridOf(cells, addresses(cells))
	if len(g.Rows) != 20 || len(g.Columns) != 1 || g.Corner != "machine" || g.Rows[4].Group != "m1" || g.Rows[4].Span != 4 || g.Rows[5].Group != "" {
		t.Errorf("one kernel on 20 machines: %d rows, %d columns, %+v", len(g.Rows), len(g.Columns), g.Rows[4])
	}
}

func TestAddressesAreUnique(t *testing.T) {
	cells := []verdict.Cell{{Name: "a/b"}, {Name: "a/b"}, {Name: "cell"}, {Name: "a b\"<"}, {Name: "2"}, {Name: "2"}, {Name: strings.Repeat("x", 400)}}
	got := addresses(cells)
	want := []string{"cell/a/b", "cell/2", "cell/cell", "cell/a_b__", "cell/5", "cell/6", "cell/7"}
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}

// Cells that died alike are one line, the most frequent first.
func TestDeathsAreGrouped(t *testing.T) {
	var s verdict.Smoke
	a := death()
	a.Signature = "a"
	b := death()
	b.Signature, b.Summary = "b", "oops: somewhere else"
	s.Add(cellOf("k", "1", "", verdict.CellFail, b))
	for i := range 12 {
		s.Add(cellOf("k", fmt.Sprint(i+2), "", verdict.CellFail, a))
	}
	s.Add(cellOf("k", "99", "", verdict.CellPass, a)) // expected
	g := groupsOf(s.Cells, addresses(s.Cells))
	if len(g) != 2 || g[0].N() != 12 || len(g[0].Cells) != 8 || g[0].Signature != "a" || g[1].Headline != "somewhere else" || g[1].First != "cell/k/1" {
		t.Errorf("%+v", g)
	}
}

func TestLogOfADeathIsAroundItsReport(t *testing.T) {
	r := &verdict.Result{Verdict: verdict.Bad}
	for i := range 1000 {
		r.Log = append(r.Log, verdict.LogLine{Seq: uint64(i), Level: 6, Text: fmt.Sprint("record ", i)})
	}
	shown := func(limit int) (string, logHTML) {
		v := logOf(r, limit)
		var b strings.Builder
		for _, p := range v.Pieces {
			b.WriteString(p.Text)
		}
		lines := strings.Split(strings.TrimSpace(b.String()), "\n")
		return strings.TrimSpace(lines[0][15:]) + " - " + lines[len(lines)-1][15:], v
	}
	if got, v := shown(100); got != "record 900 - record 999" || v.Report || !strings.Contains(v.Note, "records 901 to 1000 of 1000") {
		t.Errorf("without a report: %s, %+v", got, v.Note)
	}
	r.Log[500].Text = "BUG: kernel NULL pointer dereference, address: 0000000000000030"
	if got, v := shown(100); got != "record 425 - record 524" || !v.Report || len(v.Pieces) != 3 || v.Pieces[1].Kind != "report" {
		t.Errorf("with its head: %s, %d pieces", got, len(v.Pieces))
	}
	at := uint64(20)
	r.LogAt = &at
	if got, v := shown(100); got != "record 0 - record 99" || v.Pieces[1].Text != "[    0.000000] record 20\n" {
		t.Errorf("by log_at: %s", got)
	}
	if got, v := shown(1000); got != "record 0 - record 999" || v.Note != "" {
		t.Errorf("all of it: %s %q", got, v.Note)
	}
}

// A page of many deaths is bounded: by bytes, and by elements, which a browser feels.
func TestSmokeHTMLIsBounded(t *testing.T) {
	var s verdict.Smoke
	for i := range 10 {
		r := death()
		for j := range 1000 {
			r.Log = append(r.Log, verdict.LogLine{Seq: uint64(j), Level: 6, Text: strings.Repeat("x", 80)})
		}
		s.Add(cellOf("k", fmt.Sprint(i), "", verdict.CellFail, r))
	}
	out := page(t, &s)
	if n, tags := len(out), strings.Count(out, "</"); n > 1_200_000 || tags > 2500 {
		t.Errorf("10 deaths with 1,000 records: %d bytes, %d elements", n, tags)
	}
	good := newDeathPage("x", nil, &verdict.Result{Verdict: verdict.Good, Log: s.Cells[0].Result.Log}, pageLimits{good: goodRecords, bad: mostBad})
	if n := strings.Count(good.Log.Pieces[0].Text, "\n"); n != goodRecords || good.Log.Note == "" {
		t.Errorf("a good boot has %d records, note %q", n, good.Log.Note)
	}
}
