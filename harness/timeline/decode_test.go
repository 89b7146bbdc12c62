package timeline

import (
	"encoding/json"
	"math"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

func encoded(t testing.TB, v any) []byte {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestDecode: each of the results that have boots in them.
func TestDecode(t *testing.T) {
	times := made([4]float64{0.1, 0.1, 0.1, 0.1}, map[string]float64{"a_init": 0.01})
	boot := verdict.Result{Schema: verdict.Schema, Timeline: times.Timeline, Initcalls: times.Initcalls}
	repeated := verdict.Repeated{}
	for range 3 {
		repeated.Add(boot)
	}
	smoke := verdict.Smoke{}
	smoke.Add(verdict.Cell{Name: "k/q35", Status: verdict.CellPass, Result: &boot})
	smoke.Add(verdict.Cell{Name: "k/microvm", Status: verdict.CellSkip})
	for _, tc := range []struct {
		name  string
		file  any
		cell  string
		boots int
	}{
		{"boot", boot, "", 1},
		{"repeat", repeated, "", 3},
		{"survey", verdict.Survey{Schema: verdict.SurveySchema, Boot: boot}, "", 1},
		{"smoke", smoke, "k/q35", 1},
	} {
		s, err := Decode("file.json", encoded(t, tc.file))
		if err != nil || len(s.Cells) != 1 || s.Cells[0].Name != tc.cell || len(s.Cells[0].Boots) != tc.boots || len(s.Cells[0].Boots[0].Initcalls) != 1 {
			t.Errorf("%s: %+v, %v", tc.name, s, err)
		}
	}
	for name, data := range map[string]string{
		"nothing": "", "text": "GOOD", "a list": "[]", "another schema": `{"schema":"kcatch/bisect/v1"}`, "no timeline": `{"schema":"kcatch/result/v1"}`,
		"an ill type": `{"schema":"kcatch/result/v1","timeline":7}`, "an empty smoke": `{"schema":"kcatch/smoke/v1"}`, "survey without a boot": `{"schema":"kcatch/survey/v1"}`,
	} {
		if _, err := Decode("file.json", []byte(data)); blame.Of(err) != blame.Usage || !strings.Contains(err.Error(), "file.json") || strings.Contains(err.Error(), "\n") || blame.Hint(err) == "" {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// FuzzCompare: whatever stands in two files, there is an error or a comparison whose numbers are numbers.
func FuzzCompare(f *testing.F) {
	boot := verdict.Result{Schema: verdict.Schema}
	times := made([4]float64{0.1, 0.1, 0.1, 0.1}, map[string]float64{"a_init": 0.01})
	boot.Timeline, boot.Initcalls = times.Timeline, times.Initcalls
	good := encoded(f, boot)
	f.Add(good, good)
	f.Add(good, []byte(`{"schema":"kcatch/result/v1","timeline":[{"stage":"firmware","seconds":-5},{"stage":"init","seconds":1e300,"within":1e308},{"stage":"end","seconds":1e308,"event":true}],"initcalls":[{"function":"","seconds":1e308,"start":-1}]}`))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		sa, errA := Decode("a", a)
		sb, errB := Decode("b", b)
		if errA != nil || errB != nil {
			return
		}
		c := Compare(sa, sb)
		for _, cell := range c.Cells {
			if bad(cell.Scale) || cell.Scale < 0 {
				t.Fatalf("scale %v", cell.Scale)
			}
			for _, d := range cell.Differences {
				if bad(d.A) || bad(d.B) || bad(d.Change) || bad(d.Noise) || d.Noise <= 0 {
					t.Fatalf("%+v", d)
				}
			}
		}
	})
}

func bad(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }
