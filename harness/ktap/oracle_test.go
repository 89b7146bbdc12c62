package ktap

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// TestOracle reads the logs that the kernel has for its own KTAP parser, tools/testing/kunit/kunit_parser.py, and compares test for
// test with what that parser says of them. The logs stay in the kernel's source.
func TestOracle(t *testing.T) {
	_, err := exec.LookPath("python3")
	fixtures.Need(t, err == nil, "python3", "make test-deps")
	for _, version := range []string{"6.1", "6.12"} {
		cache, err := os.UserCacheDir()
		if err != nil {
			t.Fatal(err)
		}
		tools, _ := filepath.Glob(filepath.Join(cache, "kcatch", "sources", "debian-"+version+"_*", "linux-source-"+version, "tools", "testing", "kunit"))
		fixtures.Need(t, len(tools) > 0, "the source of Linux "+version, "make fixtures")
		logs, err := filepath.Glob(filepath.Join(tools[0], "test_data", "*.log"))
		if err != nil || len(logs) < 20 {
			t.Fatalf("%d logs, %v", len(logs), err)
		}
		own, err := filepath.Glob("testdata/*.console")
		if err != nil || len(own) == 0 {
			t.Fatalf("no logs of our own: %v", err)
		}
		logs = append(logs, own...)
		out, err := exec.Command("python3", append([]string{"testdata/oracle.py", tools[0]}, logs...)...).Output()
		if err != nil {
			t.Fatal(err)
		}
		var said map[string][][2]string
		if err := json.Unmarshal(out, &said); err != nil {
			t.Fatal(err)
		}
		for _, log := range logs {
			name := filepath.Base(log)
			t.Run(version+"/"+name, func(t *testing.T) {
				text, err := os.ReadFile(log)
				if err != nil {
					t.Fatal(err)
				}
				var got, want []string
				for _, s := range readAll(string(text)) {
					if s.Status == lost { // there it has no name
						s.Name = s.Name[:strings.LastIndex(s.Name, "/")+1]
					}
					got = append(got, s.Status+" "+s.Name)
				}
				for _, l := range said[name] {
					want = append(want, map[string]string{"SUCCESS": pass, "FAILURE": fail, "SKIPPED": skip, "TEST_CRASHED": lost}[l[1]]+" "+l[0])
				}
				if name == "kunit-6.1.console" && len(got) != 67 {
					t.Errorf("%d tests, want 67", len(got))
				}
				if ours, ok := differs[name]; ok {
					want = ours
				}
				if !slices.Equal(got, want) {
					t.Errorf("got\n%s\nkunit_parser.py:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
				}
			})
		}
	}
}

// differs is where we say something else than kunit_parser.py, and why.
var differs = map[string][]string{
	// What a program of kselftest printed, a "# " in front, is a report too.
	"test_is_test_passed-kselftest.log": {
		"pass selftests: membarrier: membarrier_test_single_thread/sys_membarrier available",
		"pass selftests: membarrier: membarrier_test_single_thread/sys membarrier invalid command test: command = -1, flags = 0, errno = 22. Failed as expected",
		"pass selftests: membarrier: membarrier_test_multi_thread/sys_membarrier available",
		"pass selftests: membarrier: membarrier_test_multi_thread/sys membarrier invalid command test: command = -1, flags = 0, errno = 22. Failed as expected",
	},
	// A suite that ran nothing is left out, which has no status there; and so is a report of which that is all.
	"test_is_test_passed-no_tests_no_plan.log":         {"skip suite/case"},
	"test_is_test_passed-no_tests_run_with_header.log": {"skip all"},
}

// readAll decodes the text of a console.
func readAll(text string) []verdict.Subtest {
	var d Decoder
	for s := range strings.Lines(text) {
		s, at, ok := CutPrintk(strings.TrimRight(s, "\r\n"))
		if !ok {
			at = -1
		}
		d.Line(s, at)
	}
	return d.Subtests()
}
