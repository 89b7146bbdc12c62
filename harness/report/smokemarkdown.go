package report

import (
	"fmt"
	"html"
	"io"
	"strings"

	"kcatch/harness/verdict"
)

// maxMarkdown is how many bytes a summary has at most: GitHub takes 1 MiB of a step.
const maxMarkdown = 900 << 10

// SmokeMarkdown writes s for a step summary or a merge request: the outcome in one line, a table of the cells, and for each cell
// that is no plain pass its chain and the text report, folded. It is GitHub's Markdown.
//
// What a guest made stands in code only: in a span or a block whose fence is longer than any run of backticks in it, where no
// markup, link, image, mention or HTML begins.
func SmokeMarkdown(w io.Writer, s *verdict.Smoke) error {
	m := &markdown{}
	m.head(s)
	m.table(s)
	m.remarks(s)
	told := map[string]string{}
	for i := range s.Cells {
		m.details(&s.Cells[i], told)
	}
	if m.omitted > 0 {
		m.b.WriteString(fmt.Sprintf("\n%d more rows and reports are in the JSON and the JUnit file: GitHub takes 1 MiB of a summary.\n", m.omitted))
	}
	_, err := io.WriteString(w, m.b.String())
	return err
}

type markdown struct {
	b       strings.Builder
	omitted int
}

// add writes a block if there is room for it.
func (m *markdown) add(block string) {
	if m.b.Len()+len(block) > maxMarkdown {
		m.omitted++
		return
	}
	m.b.WriteString(block)
}

// marks are what stands in front of a status.
var marks = map[verdict.CellStatus]string{
	verdict.CellPass: "✅ pass", verdict.CellFail: "❌ fail", verdict.CellFlaky: "⚠️ flaky",
	verdict.CellSkip: "⏭️ not testable", verdict.CellNotRun: "⏭️ not run",
}

func symbolOf(c *verdict.Cell) string {
	if m, ok := marks[c.Status]; ok {
		return m
	}
	return "💥 error"
}

// head is "## kcatch smoke: 1 of 6 failed".
func (m *markdown) head(s *verdict.Smoke) {
	var parts []string
	for _, p := range []struct {
		n    int
		what string
	}{{s.Passed, "passed"}, {s.Failed, "failed"}, {s.Flaky, "flaky"}, {s.Skipped, "not testable"}, {s.Errors, "error" + plural(s.Errors)}, {s.NotRun, "not run"}} {
		if p.n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", p.n, p.what))
		}
	}
	if len(parts) == 0 {
		parts = []string{"no cells"}
	}
	outcome := "❌"
	if s.ExitCode() == verdict.ExitGood && s.Error == nil {
		outcome = "✅"
	}
	m.add(fmt.Sprintf("## %s kcatch smoke: %s\n\n", outcome, strings.Join(parts, ", ")))
	var facts []string
	for _, f := range [][2]string{{"profile", s.Profile}, {"shard", s.Shard}, {"baseline", s.Baseline}} {
		if f[1] != "" {
			facts = append(facts, f[0]+" "+codeSpan(f[1]))
		}
	}
	facts = append(facts, fmt.Sprintf("%d cell%s in %.1f s", len(s.Cells), plural(len(s.Cells)), s.Seconds))
	m.add(strings.Join(facts, ", ") + "\n\n")
}

func (m *markdown) table(s *verdict.Smoke) {
	if len(s.Cells) == 0 {
		return
	}
	m.add("| cell | outcome | why | at | seconds |\n|---|---|---|---|---:|\n")
	for i := range s.Cells {
		c := &s.Cells[i]
		death, at := "", ""
		if c.Result != nil && c.Result.Verdict == verdict.Bad {
			death = codeSpan(string(c.Result.Class))
			if p := placeOf(c); p.file != "" {
				at = codeSpan(fmt.Sprintf("%s %s:%d", p.function, p.file, p.line))
			} else if p.function != "" {
				at = codeSpan(p.function)
			}
		}
		if death == "" && c.Status != verdict.CellPass && c.Status != verdict.CellNotRun {
			death = codeSpan(Clean(reasonOf(c), maxWhy))
		}
		outcome := symbolOf(c)
		if c.Novelty == "new" || c.Novelty == "known" {
			outcome += ", " + c.Novelty
		}
		m.add(fmt.Sprintf("| %s | %s | %s | %s | %.1f |\n", codeSpan(c.Name), outcome, death, at, c.Seconds))
	}
}

// remarks are the lines under the table.
func (m *markdown) remarks(s *verdict.Smoke) {
	var items []string
	if s.Error != nil {
		items = append(items, "**The smoke test did not come to its end:** "+codeSpan(s.Error.Message))
	}
	for i := range s.Expired {
		items = append(items, "**Expired in the allow list:** "+codeSpan(s.Expired[i].Signature)+" "+codeSpan(expiredSaid(&s.Expired[i])))
	}
	for _, k := range s.Fixed {
		items = append(items, "Fixed: "+codeSpan(k.Cell)+" no longer dies of "+codeSpan(k.Signature))
	}
	for _, n := range s.Notes {
		items = append(items, "Note: "+codeSpan(n))
	}
	for i, item := range items {
		if i == 0 {
			m.add("\n")
		}
		m.add("- " + item + "\n")
	}
}

// maxWhy is how much of a reason stands in the table, in characters.
const maxWhy = 120

// details is a cell that is no plain pass, folded. What failed in the guest is said once, by the first cell that told of it.
func (m *markdown) details(c *verdict.Cell, told map[string]string) {
	if c.Status == verdict.CellPass && !passesNevertheless(c) || c.Status == verdict.CellNotRun {
		return
	}
	var b strings.Builder
	title := fmt.Sprintf("%s <code>%s</code>", symbolOf(c), html.EscapeString(Clean(c.Name, maxName)))
	if why := reasonOf(c); why != "" {
		title += fmt.Sprintf(" <code>%s</code>", html.EscapeString(why))
	}
	fmt.Fprintf(&b, "\n<details><summary>%s</summary>\n\n", title)
	if first := toldBy(c, told); first != "" {
		fmt.Fprintf(&b, "The same as in %s.\n\n", codeSpan(first))
	} else if c.Result != nil {
		failed := failedParts(c.Result)
		for _, f := range failed[:min(len(failed), maxListed)] {
			fmt.Fprintf(&b, "%s\n\n", f)
		}
		if n := len(failed) - maxListed; n > 0 {
			fmt.Fprintf(&b, "%d more checks and tests failed.\n\n", n)
		}
		b.WriteString(codeBlock(excerpt(c.Result, maxExcerpt/4)))
	}
	if c.Repeat != "" {
		b.WriteString("Again, here:\n\n" + codeBlock([]string{Clean(c.Repeat, maxLine)}))
	}
	b.WriteString("</details>\n")
	m.add(b.String())
}

// failedParts is a line for each check and KTAP test that failed.
func failedParts(r *verdict.Result) []string {
	var out []string
	for i := range r.Checks {
		if k := &r.Checks[i]; !k.Passed() {
			out = append(out, fmt.Sprintf("Check %s: %s", codeSpan(k.Name), checkSaid(k)))
		}
	}
	for i := range r.Subtests {
		if t := &r.Subtests[i]; badSubtest(*t) {
			out = append(out, fmt.Sprintf("Test %s: %s", codeSpan(t.Name), subtestSaid(t)))
		}
	}
	return out
}

// codeSpan is s as code in running text or in a table: a fence of backticks that s does not have, and no "|", which divides cells
// even in code.
func codeSpan(s string) string {
	s = strings.TrimSpace(strings.ReplaceAll(Clean(s, maxLine), "|", `\x7c`))
	if s == "" {
		return ""
	}
	fence := strings.Repeat("`", longestRun(s)+1)
	if strings.HasPrefix(s, "`") || strings.HasSuffix(s, "`") {
		s = " " + s + " "
	}
	return fence + s + fence
}

// codeBlock is clean lines as a fenced block.
func codeBlock(lines []string) string {
	longest := 2
	for _, l := range lines {
		longest = max(longest, longestRun(l))
	}
	fence := strings.Repeat("`", longest+1)
	return fence + "text\n" + strings.Join(lines, "\n") + "\n" + fence + "\n\n"
}

// longestRun is the number of backticks in the longest run of them.
func longestRun(s string) int {
	longest, run := 0, 0
	for _, r := range s {
		if r != '`' {
			run = 0
			continue
		}
		run++
		longest = max(longest, run)
	}
	return longest
}
