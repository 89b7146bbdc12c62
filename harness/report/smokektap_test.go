package report

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

var ktapLine = regexp.MustCompile(`^(?:    )?(?:KTAP version 1|1\.\.\d+|#   .*|# Subtest: [^#]+|(not ok|ok) (\d+) [^#]*[^# ](?: # (?:SKIP|ERROR).*)?)$`)

// readKTAP holds every line to the grammar, and the results to the plans.
func readKTAP(text string, s *verdict.Smoke) error {
	plan, seen := map[bool]int{}, map[bool]int{}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		nested := strings.HasPrefix(line, "    ")
		m := ktapLine.FindStringSubmatch(line)
		body := strings.TrimPrefix(line, "    ")
		switch {
		case m == nil, i == 0 && line != "KTAP version 1":
			return errors.New("no KTAP: " + line)
		case body == "KTAP version 1":
			plan[nested], seen[nested] = 0, 0
		case strings.HasPrefix(body, "1.."):
			if err := json.Unmarshal([]byte(body[3:]), new(int)); err != nil {
				return err
			}
			n := 0
			_ = json.Unmarshal([]byte(body[3:]), &n)
			plan[nested] = n
		case m[1] != "":
			n := 0
			_ = json.Unmarshal([]byte(m[2]), &n)
			if seen[nested]++; n != seen[nested] {
				return errors.New("out of order: " + line)
			}
			if !nested && plan[true] != seen[true] {
				return errors.New("a nested test without its plan, before " + line)
			}
		}
		for _, end := range []string{"List of all partitions:", "Kernel panic - not syncing: VFS:", "reboot: System halted"} {
			if strings.Contains(line, end) {
				return errors.New("kunit_parser.py stops at " + line)
			}
		}
	}
	if plan[false] != seen[false] || seen[false] < len(s.Cells) {
		return errors.New("another number of tests")
	}
	return nil
}

// TestKTAPByProve: perl's harness of TAP counts the cells, the failed ones and those that are skipped.
func TestKTAPByProve(t *testing.T) {
	_, err := exec.LookPath("prove")
	fixtures.Need(t, err == nil, "prove", "make test-deps")
	for _, tt := range []struct {
		name  string
		smoke *verdict.Smoke
		want  []string
	}{
		{"example", exampleSmoke(), []string{"Failed tests:  2-4, 6-7", "Tests: 7 Failed: 5", "Result: FAIL"}},
		{"attack", everyAttack(), []string{"Tests: 12 Failed: 7", "Result: FAIL"}},
		{"good", &verdict.Smoke{Cells: exampleSmoke().Cells[:1]}, []string{"All tests successful.", "Tests=1,", "Result: PASS"}},
	} {
		file := filepath.Join(t.TempDir(), "smoke.ktap")
		if err := os.WriteFile(file, written(t, SmokeKTAP, tt.smoke), 0o644); err != nil {
			t.Fatal(err)
		}
		cmd := exec.Command("prove", "--norc", "-e", "cat", file)
		cmd.Env = append(os.Environ(), "LC_ALL=C")
		out, _ := cmd.CombinedOutput() // fails where a test failed
		for _, want := range tt.want {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s: prove does not say %q:\n%s", tt.name, want, out)
			}
		}
		if strings.Contains(string(out), "Parse errors") {
			t.Errorf("%s: prove cannot read it:\n%s", tt.name, out)
		}
	}
}

// TestKTAPByTheKernel: the kernel's own parser, of both trees that the tests have, finds the tests with their nested ones and no error.
func TestKTAPByTheKernel(t *testing.T) {
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	trees, _ := filepath.Glob(filepath.Join(cache, "kcatch", "sources", "debian-6.1*", "linux-source-6.*", "tools", "testing", "kunit"))
	fixtures.Need(t, len(trees) > 0, "a kernel tree", "make fixtures")
	for _, tt := range []struct {
		name  string
		smoke *verdict.Smoke
		want  string
	}{
		{"example", exampleSmoke(), "main:FAILURE(stable/q35:SUCCESS() stable/q35-2/quiet:FAILURE(the boot:SUCCESS() check uname:SUCCESS() check disk:FAILURE()" +
			" test kunit/list-kunit-test/list_test_list_init:SUCCESS() test kunit/list-kunit-test/list_test_list_add:FAILURE() test kunit/rtc/rtc_time64:SKIPPED()" +
			" test kunit/rtc/rtc_year:FAILURE()) debian-6.1/q35:FAILURE() debian-6.12/q35:FAILURE() patched/q35:SKIPPED() stable/microvm:FAILURE() allowed warn/initcall/bar_*:FAILURE())"},
		{"attack", everyAttack(), ""},
	} {
		for _, tree := range trees {
			cmd := exec.Command("python3", "-B", "-c", `
import sys, kunit_parser
def told(t): return f"{t.name}:{t.status.name}({' '.join(told(s) for s in t.subtests)})"
def errors(t): return t.counts.errors
test = kunit_parser.parse_run_tests(sys.stdin.read().splitlines())
test.status = test.counts.get_status()
print(test.counts.errors, len(test.subtests), told(test), file=sys.stderr)`)
			cmd.Env = append(os.Environ(), "PYTHONPATH="+tree, "PYTHONIOENCODING=utf-8")
			cmd.Stdin = bytes.NewReader(written(t, SmokeKTAP, tt.smoke))
			var said bytes.Buffer
			cmd.Stderr = &said
			if err := cmd.Run(); err != nil {
				t.Fatalf("%s: %v\n%s", tree, err, said.Bytes())
			}
			want := fmt.Sprintf("0 %d ", len(tt.smoke.Cells)+len(tt.smoke.Expired)+btoi(tt.smoke.Error != nil))
			if got := strings.TrimSpace(said.String()); !strings.HasPrefix(got, want) || tt.want != "" && got != want+tt.want {
				t.Errorf("%s: %s:\n got %s\nwant %s%s", tt.name, tree, got, want, tt.want)
			}
		}
	}
}

func btoi(b bool) int {
	if b {
		return 1
	}
	return 0
}

func FuzzSmokeKTAP(f *testing.F) { fuzzSink(f, "smoke.ktap") }
