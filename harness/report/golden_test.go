package report

import (
	"flag"
	"os"
	"path/filepath"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew; read the difference before you commit it")

// golden compares got with testdata/name.
func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; go test ./harness/report -update writes it. got:\n%s\nwant:\n%s", path, got, want)
	}
}

// TestSmokeGoldens: each report of the example, byte for byte.
func TestSmokeGoldens(t *testing.T) {
	for _, sink := range sinks {
		golden(t, filepath.Join("smoke", sink.name), string(written(t, sink.write, exampleSmoke())))
	}
}
