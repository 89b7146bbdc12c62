package report

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"kcatch/harness/verdict"
)

// sinks are the reports of a smoke test, each with its golden in testdata/smoke and a reader that reports what in a text it must
// not find.
var sinks = []sink{
	{"smoke.json", SmokeJSON, readJSON},
	{"junit.xml", JUnit, readJUnit},
	{"smoke.ktap", SmokeKTAP, readKTAP},
	{"github.txt", GitHub, readGitHub},
	{"summary.md", SmokeMarkdown, readMarkdown},
	{"smoke.sarif", SARIF, readSARIF},
}

type sink struct {
	name  string
	write func(io.Writer, *verdict.Smoke) error
	read  func(text string, s *verdict.Smoke) error
}

// attacks are what a guest may print. Each has the word evil, so that a test can say where it stands.
var attacks = []string{
	"evil",
	"\x1b[2J\x1b]0;evil\x07\u009b31m", "evil\x00\x08\x7f", "\xff\xfeevil\xc3", "evil\u2028::error::evil\u202e\u2066", "evil\ufffe\uffff\U0010ffff",
	"]]>evil<!--", "</system-out></testcase><testcase name=\"evil\"/>", "\"><evil a='b", "&evil;&#27;&amp;", "</script><script>evil()</script>",
	"::error::evil", " \t::set-output name=evil::y", "evil ##[error]evil", "##vso[task.setvariable variable=evil]y", "evil\r\n::warning::evil", "%0A::error::evil%0D",
	"evil,line=1,file=/etc/passwd::evil", "../../evil", "/etc/evil", "evil::stop-commands::x",
	"\nnot ok 1 evil\n", "\n1..9\nKTAP version 1\nevil", "# Subtest: evil", "Subtest: evil", "Bail out! evil", "evil # SKIP evil", "evil # TODO", "ok 1 evil # SKIP",
	"evil: Kernel panic - not syncing: VFS: x", "evil reboot: System halted", "List of all partitions: evil",
	"[[ATTACHMENT|/etc/evil]]", "[evil](https://evil.example/)", "![evil](https://evil.example/x.png)", "https://evil.example www.evil.example e@evil.example",
	"| evil | ` `` ``` ```` ````` |", "```\nevil\n```", "`evil", "evil`", "\\`evil\\|`", "</details></summary><img src=x onerror=evil()>", "<details><summary>evil",
	"@evil #1 **evil** ~~evil~~ \n# evil\n- evil\n\n    evil", "{0} {{evil}}", "${{ evil }}", "$(evil) `evil`",
}

// fill sets every string below v to s, whatever it is in, and every number and switch to something: a field that is added later is
// filled too. Lists get one member, pointers something to point to.
func fill(v reflect.Value, s string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(s)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int:
		v.SetInt(7)
	case reflect.Uint64:
		v.SetUint(7)
	case reflect.Float64:
		v.SetFloat(0.25)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), s)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), s)
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i), s)
		}
	default:
		panic("fill does not know " + v.Type().String())
	}
}

// hostileSmoke is a smoke test with cells of every status, dead ones and living ones, in which every string is s.
func hostileSmoke(s string) *verdict.Smoke {
	out := &verdict.Smoke{}
	fill(reflect.ValueOf(out).Elem(), s)
	cell := out.Cells[0]
	out.Cells = nil
	add := func(v verdict.Verdict, statuses ...verdict.CellStatus) {
		r := *cell.Result
		r.Verdict = v
		r.Subtests = []verdict.Subtest{r.Subtests[0], {Name: s, Status: "fail", Reason: s, Lines: []string{s}}, {Name: s, Status: "pass"}}
		for i, status := range statuses {
			c := cell
			c.Status, c.Result = status, &r
			if i%2 == 1 {
				c.Allowed, c.Expect, c.Reason, c.Novelty = nil, "", "", "known"
			}
			out.Add(c)
		}
	}
	add(verdict.Bad, verdict.CellFail, verdict.CellPass, verdict.CellFlaky, verdict.CellFail)
	add(verdict.Good, verdict.CellPass, verdict.CellFail)
	add(verdict.Verdict(s), verdict.CellSkip, verdict.CellError, verdict.CellNotRun, verdict.CellStatus(s))
	return out
}

// some is s with those of its cells only.
func some(s *verdict.Smoke, cells ...int) *verdict.Smoke {
	out := *s
	out.Cells, out.Passed, out.Failed, out.Flaky, out.Skipped, out.Errors, out.NotRun = nil, 0, 0, 0, 0, 0, 0
	for _, i := range cells {
		out.Add(s.Cells[i])
	}
	return &out
}

// TestNothingOfAGuestIsActive: whatever a guest makes of any string, each report stays what it is, and neither a terminal nor a CI
// nor a reader of the report finds anything in it to act upon.
func TestNothingOfAGuestIsActive(t *testing.T) {
	for _, attack := range append(attacks, strings.Join(attacks, " ")) {
		s := hostileSmoke(attack)
		if len(attack) < 100 { // one attack alone: one that fails and one that passes are enough
			s = some(s, 0, 1)
		}
		for _, sink := range sinks {
			var b bytes.Buffer
			if err := sink.write(&b, s); err != nil {
				t.Fatal(err)
			}
			if err := nothingActs(b.String(), sink.name == "github.txt"); err != nil {
				t.Errorf("%s with %q: %v", sink.name, attack, err)
			}
			if err := sink.read(b.String(), s); err != nil {
				t.Errorf("%s with %q: %v", sink.name, attack, err)
			}
			if !strings.Contains(b.String(), "evil") {
				t.Errorf("%s with %q: the text is lost", sink.name, attack)
			}
		}
	}
}

// TestReportsAreBounded: a guest that prints without end does not make a report that a CI refuses. The JSON alone has it all.
func TestReportsAreBounded(t *testing.T) {
	s := hostileSmoke(strings.Repeat("evil ", 150))
	long := strings.Repeat("x", 1<<20)
	c := &s.Cells[2]
	r := *c.Result
	c.Result = &r
	r.Summary, c.Reason, r.Checks = long, long, []verdict.Check{{Name: long, Command: long, Output: []string{long, long}}}
	for range 300 {
		r.Log = append(r.Log, verdict.LogLine{Text: long[:2000]})
		r.Checks[0].Output = append(r.Checks[0].Output, long[:2000])
	}
	for _, sink := range sinks[1:] {
		var b bytes.Buffer
		if err := sink.write(&b, s); err != nil {
			t.Fatal(err)
		}
		if b.Len() > 10<<20 || sink.name == "summary.md" && b.Len() > 1<<20 {
			t.Errorf("%s: %d bytes", sink.name, b.Len())
		}
		if err := sink.read(b.String(), s); err != nil {
			t.Errorf("%s: %v", sink.name, err)
		}
	}
	many := &verdict.Smoke{}
	for range 7_000 {
		many.Add(verdict.Cell{Name: "k/m", Status: verdict.CellSkip, Reason: "does not build"})
	}
	for _, sink := range sinks {
		var b bytes.Buffer
		if err := sink.write(&b, many); err != nil {
			t.Fatal(err)
		}
		if sink.name == "summary.md" && (b.Len() > 1<<20 || !strings.Contains(b.String(), "more rows")) {
			t.Errorf("%d bytes of Markdown", b.Len())
		}
		if err := sink.read(b.String(), many); err != nil {
			t.Errorf("%s: %v", sink.name, err)
		}
	}
}

// nothingActs reports what in a text a terminal or the log of a CI would act upon. commands says that it is made of commands.
func nothingActs(text string, commands bool) error {
	if !utf8.ValidString(text) {
		return errors.New("invalid UTF-8")
	}
	for _, line := range strings.Split(text, "\n") {
		if i := strings.IndexFunc(line, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp) || bidi(r) }); i >= 0 {
			return errors.New("a character that acts: " + strings.ToValidUTF8(line[max(0, i-20):min(len(line), i+20)], ""))
		}
		if !commands && strings.HasPrefix(strings.TrimSpace(line), "::") || ciCommand.MatchString(line) {
			return errors.New("a command of a CI: " + line)
		}
	}
	return nil
}

func bidi(r rune) bool { return r >= 0x202a && r <= 0x202e || r >= 0x2066 && r <= 0x2069 }

// onlyTags reports an element or attribute of an XML or XHTML text that is not among the allowed ones.
func onlyTags(text, elements, attributes string) error {
	dec := xml.NewDecoder(strings.NewReader("<x>" + strings.TrimPrefix(text, xml.Header) + "</x>"))
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
			if !strings.Contains(" x "+elements+" ", " "+tok.Name.Local+" ") {
				return errors.New("the element " + tok.Name.Local)
			}
			for _, a := range tok.Attr {
				if !strings.Contains(" "+attributes+" ", " "+a.Name.Local+" ") {
					return errors.New("the attribute " + a.Name.Local + " of " + tok.Name.Local)
				}
			}
		case xml.Comment, xml.ProcInst, xml.Directive:
			return errors.New("a comment or an instruction")
		}
	}
}

// fuzzSink holds the sink to its reader with any text for a guest's.
func fuzzSink(f *testing.F, name string) {
	i := slices.IndexFunc(sinks, func(s sink) bool { return s.name == name })
	for i, seed := range []string{"evil", "\x1b[m\xff\n::x", "](`|{<"} {
		f.Add(seed, uint8(i))
	}
	f.Fuzz(func(t *testing.T, text string, how uint8) {
		s := hostileSmoke(text)
		if how&1 != 0 {
			s.AllowFlaky = false
		}
		if how&2 != 0 {
			s.Error, s.Expired = nil, nil
		}
		if how&4 != 0 {
			s = some(s, int(how)%len(s.Cells))
		}
		var b bytes.Buffer
		if err := sinks[i].write(&b, s); err != nil {
			t.Fatal(err)
		}
		if err := nothingActs(b.String(), sinks[i].name == "github.txt"); err != nil {
			t.Error(err)
		}
		if err := sinks[i].read(b.String(), s); err != nil {
			t.Error(err)
		}
	})
}

func written(t *testing.T, write func(io.Writer, *verdict.Smoke) error, s *verdict.Smoke) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := write(&b, s); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// everyAttack is a smoke test in which each string is all attacks.
func everyAttack() *verdict.Smoke { return hostileSmoke(strings.Join(attacks, " ")) }
