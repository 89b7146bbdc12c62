package smoke

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
)

// TestDurations: the median of the last five boots of a cell; a boot that came to no verdict does not count.
func TestDurations(t *testing.T) {
	state := t.TempDir()
	t.Setenv("XDG_STATE_HOME", state)
	if d := Durations(); len(d) != 0 {
		t.Fatalf("%v", d)
	}
	cell := func(seconds float64, v verdict.Verdict) []verdict.Cell {
		return []verdict.Cell{{Name: "a", Tries: []verdict.Try{{Seconds: 99, Verdict: verdict.Bad}, {Seconds: seconds, Verdict: v}}}, {Name: "b"}}
	}
	for i, s := range []float64{100, 1, 2, 3, 4, 50} {
		if err := remember(cell(s, verdict.Good), time.Unix(int64(i), 0)); err != nil {
			t.Fatal(err)
		}
	}
	if err := remember(cell(1000, ""), time.Unix(9, 0)); err != nil {
		t.Fatal(err)
	}
	d := Durations()
	if len(d) != 1 || d["a"] != 3*time.Second {
		t.Errorf("%v", d)
	}
	// A file of something else is no reason not to run, and is written anew.
	path := filepath.Join(state, "kcatch", "smoke", durationsName)
	if err := os.WriteFile(path, []byte(`{"schema":"x","cells":{"z":{"seconds":[1]}}}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if d := Durations(); len(d) != 0 {
		t.Errorf("%v", d)
	}
	if err := remember(cell(7, verdict.Good), time.Unix(10, 0)); err != nil {
		t.Fatal(err)
	}
	if d := Durations(); len(d) != 1 || d["a"] != 7*time.Second {
		t.Errorf("%v", d)
	}
}

// TestDurationsOfNobody: who has no home can run with a directory for the artifacts; what is not remembered is said.
func TestDurationsOfNobody(t *testing.T) {
	t.Setenv("XDG_STATE_HOME", "")
	t.Setenv("HOME", "")
	if d := Durations(); len(d) != 0 {
		t.Errorf("%v", d)
	}
	w := (&world{}).lab()
	w.now = time.Now
	out, err := w.run(t.Context(), Request{Jobs: 1, Out: t.TempDir(), Cells: []Cell{cellOf("a", "")}}, Listener{})
	if err != nil || out.Passed != 1 || len(out.Notes) != 1 || !strings.Contains(out.Notes[0], "not remembered") {
		t.Errorf("%+v, %v", out, err)
	}
}

// TestDurationsAreBounded: cells that nobody boots any more are forgotten.
func TestDurationsAreBounded(t *testing.T) {
	d := durations{Cells: map[string]duration{}}
	for i := range maxDurations + 10 {
		d.Cells[fmt.Sprint(i)] = duration{Seconds: []float64{1}, Used: time.Unix(int64(i), 0)}
	}
	d.learn(nil, time.Unix(0, 0))
	if _, old := d.Cells["9"]; len(d.Cells) != maxDurations || old {
		t.Errorf("%d cells, the old one still there: %v", len(d.Cells), old)
	}
}

// FuzzDurations: whatever stands in the file, what is learnt from it is a time.
func FuzzDurations(f *testing.F) {
	f.Add([]byte(`{"schema":"kcatch/durations/v1","cells":{"a":{"seconds":[1,2],"used":"2027-01-01T00:00:00Z"}}}`))
	f.Add([]byte(`{"schema":"kcatch/durations/v1","cells":{"a":{"seconds":[-1e308]},"b":{"seconds":null}}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		state := t.TempDir()
		t.Setenv("XDG_STATE_HOME", state)
		path := filepath.Join(state, "kcatch", "smoke", durationsName)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, data, 0o644); err != nil {
			t.Fatal(err)
		}
		for name, d := range Durations() {
			if d < 0 {
				t.Errorf("%s takes %s", name, d)
			}
		}
	})
}
