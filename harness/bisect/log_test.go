package bisect

import (
	"strings"
	"testing"
)

const start = `{"type":"start","schema":"` + logSchema + `"}` + "\n"

func TestReadLog(t *testing.T) {
	for _, c := range []struct {
		name, text string
		n          int
		err        string
	}{
		{"empty", "", 0, "no start"},
		{"another file", "{}\n", 0, "line 1: not a log"},
		{"text", "hello\n", 0, "line 1: not a log"},
		{"start", start, 1, ""},
		{"cut", start + `{"type":"boot","com`, 1, ""},
		{"cut in a string", start + `{"type":"boot"}` + "\n" + `{"type":"boot","commit":"abc`, 2, ""},
		{"damaged", start + `{"type":` + "\n" + `{"type":"boot"}` + "\n", 0, "line 2"},
		{"blank lines", start + "\n\n" + `{"type":"boot"}` + "\n", 2, ""},
	} {
		list, err := ReadLog(strings.NewReader(c.text))
		if len(list) != c.n || (err == nil) != (c.err == "") || err != nil && !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: %d records, %v", c.name, len(list), err)
		}
	}
}

func FuzzReadLog(f *testing.F) {
	f.Add(start + `{"type":"boot","commit":"c1","outcome":"bad","signature":"oops/init/f"}` + "\n")
	f.Add(start + `{"type":"trial","commit":"` + strings.Repeat("a", 40) + `","outcome":"dies"}`)
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadLog(strings.NewReader(text))
		if (err == nil) == (len(list) == 0) {
			t.Errorf("%d records and %v", len(list), err)
		}
		for _, fixed := range []bool{false, true} {
			for line := range strings.Lines(GitReplay(list, fixed)) { // a shell-like file: nothing of the log but object names may be in it
				f := strings.Fields(line)
				if len(f) < 3 || f[0] != "git" || f[1] != "bisect" || f[2] != "start" && (len(f) != 4 || !objectName(f[3])) {
					t.Errorf("line %q", line)
				}
			}
		}
	})
}

func FuzzParseGraph(f *testing.F) {
	f.Add("c2 c1\nc1 c0\n", true)
	f.Add("c3 c2 c1\nc2 c0\nc1 c0\nc0\n", false)
	f.Fuzz(func(t *testing.T, text string, firstParent bool) {
		g, err := ParseGraph(text, firstParent)
		if err != nil || g.Len() == 0 || g.Len() > 60 {
			return
		}
		top := g.Crown("the new end")
		s := &Search{Graph: g, Top: top}
		if suspects, trials := simulate(s, 2, func(n int) Outcome { return Lives }); len(suspects) != 1 || trials > g.Len() {
			t.Errorf("%d suspects after %d trials", len(suspects), trials)
		}
	})
}

func FuzzSimilarity(f *testing.F) {
	f.Add(theBug, theDecoy)
	f.Add("oops/init/", "oops/init")
	f.Fuzz(func(t *testing.T, a, b string) {
		v := similarity(a, b)
		if v < 0 || v > 1 || v != similarity(b, a) {
			t.Errorf("similarity(%q, %q) is %v, the other way %v", a, b, v, similarity(b, a))
		}
	})
}
