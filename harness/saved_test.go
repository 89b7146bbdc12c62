package harness

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

func TestReadResult(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return path
	}
	var saved bytes.Buffer
	if err := report.JSON(&saved, &verdict.Result{Schema: verdict.Schema, Verdict: verdict.Bad, Class: "panic", Signature: "s"}); err != nil {
		t.Fatal(err)
	}
	file := write("boot/result.json", saved.String())
	for _, path := range []string{file, filepath.Dir(file), write("survey.json", `{"schema":"`+verdict.SurveySchema+`","sites":[],"boot":`+saved.String()+`}`)} {
		r, err := ReadResult(path)
		if err != nil || r.Signature != "s" || r.Class != "panic" {
			t.Errorf("%s: %+v, %v", path, r, err)
		}
	}
	for path, want := range map[string]string{
		filepath.Join(dir, "none"): "no such file",
		dir:                        "result.json: no such file",
		"/dev/null":                "not a regular file",
		write("empty", ""):         "not JSON",
		write("other", `{"schema":"kcatch/smoke/v1"}`):             `its schema is "kcatch/smoke/v1"`,
		write("list", `[]`):                                        "not JSON",
		write("wrong", `{"schema":"`+verdict.Schema+`","cpus":3}`): "cpus",
		write("boot/console.log", "[    0.000000] Linux version"):  "not JSON",
		filepath.Join(file, "x"):                                   "not a directory",
	} {
		r, err := ReadResult(path)
		if r != nil || err == nil || !strings.Contains(err.Error(), want) || blame.Of(err) != blame.Usage || blame.Hint(err) == "" {
			t.Errorf("%s: %v, %v; want %q", path, r, err, want)
		}
	}
}

// FuzzDecodeResult: a result or why there is none, never both.
func FuzzDecodeResult(f *testing.F) {
	f.Add([]byte(`{"schema":"kcatch/result/v1","cpus":[{"frames":[{"pc":"0x1"}]}]}`))
	f.Add([]byte(`{"schema":"kcatch/survey/v1","boot":{"log_at":1}}`))
	f.Add([]byte(`{"schema":"kcatch/survey/v1","boot":null}`))
	f.Add([]byte(`{"schema":"kcatch/result/v1","cause":{"address":"0xfffffffffffffffff"}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		if r, why := decodeResult(data); (r == nil) == (why == "") {
			t.Errorf("%v, %q", r, why)
		}
	})
}
