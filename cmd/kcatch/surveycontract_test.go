package main

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
)

// TestSurveyContract holds the JSON of a real survey, of a kernel that dies and of a refusal, to testdata/survey-v1.txt, and its
// CSV to its JSON: a row for each distinct chain.
func TestSurveyContract(t *testing.T) {
	contract, results := readContract(t, "testdata/survey-v1.txt"), readContract(t, "testdata/result-v1.txt")
	maps.Copy(contract, frames(results))
	k := fixtures.Find(t, fixtures.Faults61)
	table := filepath.Join(t.TempDir(), "sites.csv")
	for _, c := range []struct {
		name string
		args []string
		code int
	}{
		{"dies", []string{"--append", "kcatch_fault=late-warn panic_on_warn=1", "--break", "__SetPageReserved", "--limit", "50", "--values", "args", "--csv", table}, 1},
		{"refused", []string{"--break", "no_such_function"}, 129},
	} {
		t.Run(c.name, func(t *testing.T) {
			cmd := exec.Command("kcatch", append([]string{"survey", "--kernel", k.BzImage, "--vmlinux", k.Vmlinux, "--json", "-", "--out", t.TempDir()}, c.args...)...)
			var stderr bytes.Buffer
			cmd.Stderr = &stderr
			stdout, _ := cmd.Output() // the code is looked at below
			if got := cmd.ProcessState.ExitCode(); got != c.code {
				t.Errorf("exit code %d, want %d\n%s", got, c.code, stderr.Bytes())
			}
			dec := json.NewDecoder(bytes.NewReader(stdout))
			dec.UseNumber()
			var survey map[string]any
			if err := dec.Decode(&survey); err != nil {
				t.Fatalf("standard output: %v\n%s", err, stdout)
			}
			boot, _ := survey["boot"].(map[string]any)
			results.check(t, "", boot, boot["verdict"] == "bad")
			survey["boot"] = map[string]any{}
			contract.check(t, "", survey, false)
			if c.code != 1 {
				return
			}
			chains, most := 0, false
			for _, site := range survey["sites"].([]any) {
				s := site.(map[string]any)
				chains += len(s["chains"].([]any))
				most = most || s["at_least"] == true
			}
			data, err := os.ReadFile(table)
			if err != nil {
				t.Fatal(err)
			}
			rows, err := csv.NewReader(bytes.NewReader(data)).ReadAll()
			if err != nil || len(rows) != chains+1 || chains < 3 || !most {
				t.Errorf("%d chains, at least %v, and %d rows in the CSV: %v", chains, most, len(rows), err)
			}
		})
	}
}

// frames are the clauses of a frame.
func frames(c contract) contract {
	out := contract{}
	for at, clause := range c {
		if strings.HasPrefix(at, "FRAME.") {
			out[at] = clause
		}
	}
	return out
}
