package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/fixtures"
	"kcatch/internal/schema"
)

// TestSmokeContract holds the JSON of a real smoke test, of one whose kernels cannot be booted and of a refusal, to testdata/smoke-v1.txt and to docs/schema;
// its text, the exit codes, the files of all sinks, and that a cell's own command line does the cell again.
func TestSmokeContract(t *testing.T) {
	contract, results := readContract(t, "testdata/smoke-v1.txt"), readContract(t, "testdata/result-v1.txt")
	dir := t.TempDir()
	good, seed := fixtures.Find(t, fixtures.Good61), fixtures.Find(t, fixtures.Seed61)
	profile := filepath.Join(dir, "p.yaml")
	if err := os.WriteFile(profile, fmt.Appendf(nil, `until: console
accel: tcg
kernels:
- {name: good, kernel: %s, vmlinux: %s}
- {name: seed, kernel: %s, vmlinux: %s, expect: "early-exception:__SetPageReserved"}
- {name: bad, vmlinux: %s}
machines: [microvm]
allow: [{signature: 'warn/*', owner: nobody, reason: over, expires: 2020-01-31}]
`, good.BzImage, good.Vmlinux, seed.BzImage, seed.Vmlinux, seed.Vmlinux), 0o644); err != nil {
		t.Fatal(err)
	}
	run := func(code int, words ...string) ([]byte, string) {
		t.Helper()
		cmd := exec.Command("kcatch", append([]string{"smoke"}, words...)...)
		cmd.Env = append(os.Environ(), "XDG_STATE_HOME="+filepath.Join(dir, "state"))
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		stdout, _ := cmd.Output() // the code is looked at
		if got := cmd.ProcessState.ExitCode(); got != code {
			t.Errorf("%q: exit code %d, want %d\n%s", words, got, code, stderr.Bytes())
		}
		return stdout, stderr.String()
	}
	published, err := schema.Open("../../docs/schema/smoke-v1.schema.json", true)
	if err != nil {
		t.Fatal(err)
	}
	hold := func(stdout []byte, statuses string) map[string]any {
		t.Helper()
		if err := published.Validate(stdout); err != nil {
			t.Errorf("not by the published schema: %v", err)
		}
		dec := json.NewDecoder(bytes.NewReader(stdout))
		dec.UseNumber()
		var smoke map[string]any
		if err := dec.Decode(&smoke); err != nil {
			t.Fatalf("standard output: %v\n%s", err, stdout)
		}
		var got []string
		for _, c := range smoke["cells"].([]any) {
			cell := c.(map[string]any)
			got = append(got, fmt.Sprint(cell["name"], " ", cell["status"]))
			if result, ok := cell["result"].(map[string]any); ok {
				results.check(t, "", result, result["verdict"] == "bad")
				cell["result"] = map[string]any{}
			} else {
				delete(cell, "result")
			}
		}
		if strings.Join(got, ", ") != statuses {
			t.Errorf("got %q, want %q", got, statuses)
		}
		contract.check(t, "", smoke, false)
		return smoke
	}
	sinks := []string{"junit", "ktap", "sarif", "html", "github", "markdown"}
	words := []string{"--profile", profile, "--json", "-"}
	for _, s := range sinks {
		words = append(words, "--"+s, filepath.Join(dir, s))
	}
	stdout, _ := run(1, words...)
	smoke := hold(stdout, "good/microvm pass, seed/microvm pass, bad/microvm fail")
	for _, s := range sinks {
		if text, err := os.ReadFile(filepath.Join(dir, s)); err != nil || !bytes.Contains(text, []byte("__SetPageReserved")) {
			t.Errorf("--%s: %v, and %d bytes without the death", s, err, len(text))
		}
	}
	again := strings.Fields(smoke["cells"].([]any)[1].(map[string]any)["repeat"].(string))
	stdout, _ = run(1, append(again[2:], "--json=-")...) // the entry that has expired fails it, too
	hold(stdout, "seed/microvm pass")
	stdout, _ = run(131, "--profile", profile, "--json", "-", "--qemu", "no-such-qemu")
	hold(stdout, "")
}
