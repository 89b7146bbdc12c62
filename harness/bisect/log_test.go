package bisect

import (
	"context"
	"math/rand/v2"
	"os"
	"strings"
	"syscall"
	"testing"

	"kcatch/internal/blame"
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

// A full disk is said in one line, with what to do, and is nobody's commit: neither the log's nor the clone's.
func TestDiskFull(t *testing.T) {
	f, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r := (&world{graph: linear(4), rate: 1, rand: rand.New(rand.NewPCG(1, 1)), culprit: 1}).runner()
	r.Log = &Log{f: f}
	_, logErr := r.Run(context.Background())
	for what, err := range map[string]error{
		"log":   logErr,
		"clone": disk("check out c1", "/cache/tree", &errGit{args: []string{"checkout"}, text: "unable to write file mm/a.c: No space left on device", code: 128}),
	} {
		if blame.Of(err) != blame.Infrastructure || !strings.Contains(strings.ToLower(err.Error()), "no space left") || strings.Contains(err.Error(), "\n") || !strings.Contains(blame.Hint(err), "free ") {
			t.Errorf("%s: %v (hint %q)", what, err, blame.Hint(err))
		}
	}

	// Where the lab's disk is full nothing is tried again: that would only fail again, after a while.
	tries := 0
	w := &world{graph: linear(4), rate: 1, rand: rand.New(rand.NewPCG(1, 1)), culprit: 1}
	r = w.runner()
	r.Lab.Build = func(context.Context, string) (Kernel, error) {
		tries++
		return Kernel{}, disk("build", "/cache", &os.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC})
	}
	if _, err := r.Run(context.Background()); blame.Of(err) != blame.Infrastructure || tries != 1 || len(w.order) != 0 {
		t.Errorf("%v after %d builds and %d boots", err, tries, len(w.order))
	}
}
