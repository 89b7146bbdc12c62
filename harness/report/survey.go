package report

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// shownSites is how many sites the text shows with a chain; the table has them all.
const shownSites = 40

// SurveyText writes s for a person: how the boot ended, a table of the sites by stage, and of the first of them the chain that was
// seen first. all shows every distinct chain.
func SurveyText(w io.Writer, s *verdict.Survey, style Style, all bool) error {
	t := &text{style: style}
	if s.Boot.Verdict == verdict.Good {
		t.headline(&s.Boot)
	} else {
		if err := Text(&t.b, &s.Boot, style); err != nil {
			return err
		}
	}
	t.siteTable(s)
	for i := range s.Sites {
		if i == shownSites && !all {
			t.line("")
			t.line("%s", style.dim(fmt.Sprintf("the chains of %d more sites are in the JSON, in the CSV or with --verbose", len(s.Sites)-i)))
			break
		}
		t.site(&s.Sites[i], all)
	}
	t.points(s)
	for _, n := range s.Notes {
		t.line("%s %s", style.warn("note:"), Clean(n, 0))
	}
	_, err := io.WriteString(w, t.b.String())
	return err
}

// SurveyJSON writes s like [JSON].
func SurveyJSON(w io.Writer, s *verdict.Survey) error { return encode(w, s) }

// siteTable has a line for each site.
func (t *text) siteTable(s *verdict.Survey) {
	t.line("")
	if len(s.Sites) == 0 {
		t.line("%s", t.style.strong("no site was passed"))
		return
	}
	chains := 0
	rows := [][4]string{}
	for i := range s.Sites {
		site := &s.Sites[i]
		chains += len(site.Chains)
		rows = append(rows, [4]string{count(site), stages(site), siteName(site), siteWhere(site)})
	}
	var width [4]int
	for _, r := range rows {
		for i, cell := range r {
			width[i] = max(width[i], len([]rune(cell)))
		}
	}
	t.line("%s", t.style.strong(fmt.Sprintf("%d site%s, %d distinct chain%s, %d hit%s", len(s.Sites), plural(len(s.Sites)), chains, plural(chains), s.Hits, plural(s.Hits))))
	t.line("")
	t.line("%s", t.style.dim(fmt.Sprintf("%*s  %s  %s  %s", max(width[0], 5), "count", pad("stage", width[1]), pad("function", width[2]), "site")))
	for _, r := range rows {
		t.line("%*s  %s  %s  %s", max(width[0], 5), r[0], pad(r[1], width[1]), pad(r[2], width[2]), r[3])
	}
}

// count is how often a site was passed; "1000+" where its point was taken out.
func count(s *verdict.Site) string {
	if s.AtLeast {
		return fmt.Sprintf("%d+", s.Count)
	}
	return fmt.Sprint(s.Count)
}

func stages(s *verdict.Site) string {
	var names []string
	for _, st := range verdict.Stages() {
		if slices.Contains(s.Stages, st) {
			names = append(names, string(st))
		}
	}
	return strings.Join(names, ", ")
}

func siteName(s *verdict.Site) string {
	name := Clean(s.Function, 60)
	if name == "" && len(s.Frames) > 0 {
		name = label(s.Frames[0])
	}
	if s.Module != "" {
		name += " [" + Clean(s.Module, 60) + "]"
	}
	return name
}

// siteWhere is the place and what stands there: "mm/page_alloc.c:6958  __SetPageReserved", "net/socket.c:1  calls f".
func siteWhere(s *verdict.Site) string {
	at := Clean(s.File, 120)
	if s.Line > 0 {
		at = fmt.Sprintf("%s:%d", at, s.Line)
	}
	if s.Inlined != nil {
		at += "  " + Clean(s.Inlined.Function, 60)
	}
	if s.Point != "WARN" {
		at += "  (" + Clean(s.Point, 80) + alsoLine(s) + ")"
	}
	return strings.TrimSpace(at)
}

// alsoLine is the line that the chain has for the address of a point named by another one of the same file.
func alsoLine(s *verdict.Site) string {
	line := s.Line
	if s.Inlined != nil {
		line = s.Inlined.Line
	}
	if len(s.Frames) == 0 || s.Frames[0].Line == line || !strings.HasSuffix(s.Point, fmt.Sprintf(":%d", line)) {
		return ""
	}
	return fmt.Sprintf(", at one address with line %d", s.Frames[0].Line)
}

// site is a site's chains.
func (t *text) site(s *verdict.Site, all bool) {
	t.line("")
	t.line("%s  %s", t.style.strong(siteName(s)), siteWhere(s))
	for i := range s.Chains {
		if i > 0 && !all {
			t.line("     %s", t.style.dim(fmt.Sprintf("and %d more chain%s, in the JSON or with --verbose", len(s.Chains)-1, plural(len(s.Chains)-1))))
			return
		}
		c := &s.Chains[i]
		in := string(c.Stage)
		if c.StageCall != "" {
			in = fmt.Sprintf("%s (%s)", Clean(c.StageCall, 60), c.Stage)
		}
		t.line("   %s", t.style.dim(fmt.Sprintf("%s in %s, first after %.3fs on vCPU %d", times(c.Count, s.AtLeast), in, c.Seconds, c.CPU)))
		t.values(c.Values)
		t.frames(c.Frames, nil)
		if c.Stopped != "" {
			t.line("     %s", t.style.dim("("+Clean(c.Stopped, 0)+")"))
		}
	}
}

// times is how often a chain was passed; atLeast where its point was taken out.
func times(n int, atLeast bool) string {
	text := "once"
	if n != 1 {
		text = fmt.Sprintf("%d times", n)
	}
	if atLeast {
		return "at least " + text
	}
	return text
}

// values are a line each, in the order of their names; of those that could not be had the names, and the JSON has the reasons.
func (t *text) values(v verdict.Values) {
	var lost []string
	for _, name := range sorted(v) {
		switch {
		case !unknown(v[name]):
			t.line("     %s", t.fit(Clean(name, 60)+" = "+Clean(v[name], 0)))
		case !ofMacro(name):
			lost = append(lost, Clean(name, 60))
		}
	}
	if len(lost) > 0 {
		t.line("     %s", t.style.dim(t.fit("no value: "+strings.Join(lost, ", "))))
	}
}

func sorted(v verdict.Values) []string {
	names := make([]string, 0, len(v))
	for name := range v {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// points says of each point that was asked for what it came to.
func (t *text) points(s *verdict.Survey) {
	t.line("")
	for _, p := range s.Points {
		if p.Name == "WARN" && p.Count == 0 && len(s.Points) > 1 {
			continue
		}
		passed := fmt.Sprintf("%d hit%s, %d distinct chain%s", p.Count, plural(p.Count), p.Chains, plural(p.Chains))
		if p.Count == 0 {
			passed = "never passed"
			if p.Name != "WARN" { // startup_64() was, see docs/survey.md
				passed += " from x86_64_start_kernel on"
			}
		}
		at := fmt.Sprintf("at %d addresses", p.Addresses)
		if p.Addresses == 1 {
			at = "at 1 address"
		}
		t.line("%s  %s  %s", t.style.dim("looked at"), Clean(p.Name, 80), t.style.dim(at+": "+passed))
	}
}
