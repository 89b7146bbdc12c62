package ktap

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"kcatch/harness/verdict"
)

func TestDecode(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"none", "ok 1 a\nnot ok 2 b\n1..2\n# Subtest\nTAP version\nTAP version x\n", ""},
		{"the specification's example", `KTAP version 1
1..1
  KTAP version 1
  1..3
    KTAP version 1
    1..1
    # test_1: initializing test_1
    ok 1 test_1
  ok 1 example_test_1
    KTAP version 1
    1..2
    ok 1 test_1 # SKIP test_1 skipped
    ok 2 test_2
  ok 2 example_test_2
    KTAP version 1
    1..3
    ok 1 test_1
    # test_2: FAIL
    not ok 2 test_2
    ok 3 test_3 # SKIP test_3 skipped
  not ok 3 example_test_3
not ok 1 main_test
`, `pass main_test/example_test_1/test_1
skip main_test/example_test_2/test_1 (test_1 skipped)
pass main_test/example_test_2/test_2
pass main_test/example_test_3/test_1
fail main_test/example_test_3/test_2
| # test_2: FAIL
skip main_test/example_test_3/test_3 (test_3 skipped)
`},
		{"what a failed test has to say", `[    1.000000] KTAP version 1
[    1.000000] 1..1
[    1.000000]     KTAP version 1
[    1.000000]     # Subtest: example
[    1.000000]     1..2
[    1.000000]     # good: not kept
[    1.000000]     ok 1 good
[    1.250000]     # bad: EXPECTATION FAILED at lib/kunit/kunit-example-test.c:29
[    1.250000]     Expected 1 + 1 == 3, but
[    1.300000] usb 1-1: a line from elsewhere` + "\x1b[31m" + `
[    1.500000]     not ok 2 bad
[    1.500000] # example: pass:1 fail:1 skip:0 total:2
[    1.500000] not ok 1 example
[    1.600000] not ok 2 after the end
`, `pass example/good
fail example/bad 0.50 s
| # bad: EXPECTATION FAILED at lib/kunit/kunit-example-test.c:29
| Expected 1 + 1 == 3, but
| usb 1-1: a line from elsewhere\x1b[31m
`},
		{"the kernel dies", "KTAP version 1\n1..3\n    # Subtest: a\n    1..3\n    ok 1 one\n    BUG: kernel NULL pointer dereference\n",
			"pass a/one\nlost a/#2\n| BUG: kernel NULL pointer dereference\nlost a/#3\nlost #2\nlost #3\n"},
		{"the kernel dies before a suite's own result", "KTAP version 1\n1..1\n    # Subtest: a\n    1..1\n    ok 1 one\n", "pass a/one\nlost a\n"},
		{"lines are lost in the middle", "TAP version 13\n1..4\nok 1 a\nok 4 d\nnot ok 3 c\n", "pass a\npass d\nfail c\nlost #2\n"},
		{"the plan comes last", "TAP version 13\nok 1 a\nok 2 b\n1..2\nok 3 not in it\nTAP version 13\nok 1 c\n1..2\n", "pass a\npass b\npass c\nlost #2\n"},
		{"no plan", "TAP version 14\nok 1 a\nnot ok 2 - b # exit=1\n", "pass a\nfail b (exit=1)\n"},
		{"directives", `TAP version 13
1..9
ok 1 a # SKIP why
not ok 2 b # skip
not ok 3 c # TODO later
ok 4 d # TODO later
ok 5 e # XFAIL known
not ok 6 f # TIMEOUT 45 seconds
not ok 7 g # ERROR no memory
ok 8 # SKIP no name
ok 9 h # rcode=0
`, `skip a (why)
skip b
todo c (later)
pass d (later)
todo e (known)
fail f (TIMEOUT 45 seconds)
fail g (ERROR no memory)
skip #8 (no name)
pass h (rcode=0)
`},
		{"nothing to do", "TAP version 13\n1..0 # SKIP no root\nTAP version 13\n1..1\nok 1 a\n", "skip all (no root)\npass a\n"},
		{"kselftest", `TAP version 13
1..2
# selftests: mm: good
# TAP version 13
# 1..2
# # a remark
# ok 1 x
# not ok 2 y
# # Totals: pass:1 fail:1
not ok 1 selftests: mm: good # exit=1
# selftests: mm: plain
# it prints what it likes
# ok 7 bottles
ok 2 selftests: mm: plain
`, "pass selftests: mm: good/x\nfail selftests: mm: good/y\npass selftests: mm: plain\n"},
		{"a module's suites have no report around them", "    # Subtest: mod\n    1..2\n    ok 1 - a\n    ok 2 - b\nok 1 - mod\n    # Subtest: two\n    1..1\n    ok 1 - c\nok 1 - two\n",
			"pass mod/a\npass mod/b\npass two/c\n"},
		{"a suite that disagrees", "KTAP version 1\n1..2\n    # Subtest: a\n    1..1\n    ok 1 x\n    # a: init failed\nnot ok 1 a\n    # Subtest: b\n    1..1\n    not ok 1 y\nok 2 b\n",
			"pass a/x\nfail a\n| # a: init failed\nfail b/y\npass b\n"},
		{"another report begins", "KTAP version 1\n1..2\nok 1 a\nKTAP version 1\n1..1\nok 1 b\n", "pass a\nlost #2\npass b\n"},
		{"a suite's result is lost", "KTAP version 1\n1..2\n    # Subtest: a\n    1..1\n    ok 1 x\n    # Subtest: b\n    1..1\n    ok 1 y\nok 2 b\n",
			"pass a/x\nlost a\npass b/y\n"},
		{"a test of a suite has its own", "KTAP version 1\n1..1\n    KTAP version 1\n    # Subtest: s\n    1..2\n        # Subtest: p\n        ok 1 one\n        ok 2 two\n    ok 1 p\n    ok 2 q\nok 1 s\n",
			"pass s/p/one\npass s/p/two\npass s/q\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := list(readAll(c.text)); got != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got, c.want)
			}
			tabs := strings.ReplaceAll(c.text, "    ", "\t")
			if got := list(readAll(tabs)); !strings.Contains(c.text, "[ ") && got != c.want {
				t.Errorf("with tabs:\n%s\nwant:\n%s", got, c.want)
			}
		})
	}
}

func list(tests []verdict.Subtest) string {
	var b strings.Builder
	for _, s := range tests {
		b.WriteString(s.Status + " " + s.Name)
		if s.Reason != "" {
			b.WriteString(" (" + s.Reason + ")")
		}
		if s.Seconds > 0 && s.Status == fail {
			fmt.Fprintf(&b, " %.2f s", s.Seconds)
		}
		b.WriteString("\n")
		for _, l := range s.Lines {
			b.WriteString("| " + l + "\n")
		}
	}
	return b.String()
}

// TestRandomTrees prints random trees of tests, with and without headers and plans, lines of others between them, and reads them back.
func TestRandomTrees(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		var text strings.Builder
		var want []string
		var suite func(indent, path string, depth int) bool
		suite = func(indent, path string, depth int) bool {
			n, good := 1+r.IntN(4), true
			plan := r.IntN(3)
			if plan == 0 {
				fmt.Fprintf(&text, "%s1..%d\n", indent, n)
			}
			for i := range n {
				name := fmt.Sprintf("t%d_%d", depth, i)
				ok := r.IntN(3) > 0
				if depth < 3 && r.IntN(3) == 0 {
					switch r.IntN(3) {
					case 0:
						fmt.Fprintf(&text, "%s    KTAP version 1\n", indent)
					case 1:
						fmt.Fprintf(&text, "%s    # Subtest: %s\n", indent, name)
					case 2:
						fmt.Fprintf(&text, "%s    KTAP version 1\n%s    # Subtest: %s\n", indent, indent, name)
					}
					ok = suite(indent+"    ", path+name+"/", depth+1)
				} else {
					want = append(want, map[bool]string{true: pass, false: fail}[ok]+" "+path+name)
				}
				for range r.IntN(3) {
					fmt.Fprintf(&text, "%s\n", []string{"  device eth0 entered promiscuous mode", "# a remark", "ok then", "    1..x", "#", ""}[r.IntN(6)])
				}
				fmt.Fprintf(&text, "%s%sok %d %s%s\n", indent, map[bool]string{false: "not "}[ok], i+1, []string{"", "- "}[r.IntN(2)], name)
				good = good && ok
			}
			if plan == 1 {
				fmt.Fprintf(&text, "%s1..%d\n", indent, n)
			}
			return good
		}
		text.WriteString("KTAP version 1\n")
		suite("", "", 0)
		var got []string
		for _, s := range readAll(text.String()) {
			got = append(got, s.Status+" "+s.Name)
		}
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d:\n%s\ngot\n%s\nwant\n%s", seed, text.String(), strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestCutPrintk(t *testing.T) {
	for _, c := range []struct {
		in, text string
		at       float64
	}{
		{"[    0.060000] \tok 1", "\tok 1", 0.06},
		{"[12345.678901][   T12]  x", " x", 12345.678901},
		{"[    0.060000][    C0] x", "x", 0.06},
		{"[    0.060000][stack] x", "[stack] x", 0.06},
		{"[    0.060000]", "", 0.06},
	} {
		if text, at, ok := CutPrintk(c.in); !ok || text != c.text || at != c.at {
			t.Errorf("%q: %q, %v, %v", c.in, text, at, ok)
		}
	}
	for _, s := range []string{"", "[", "[]", "[1.2] x", "[ 0.06000x] x", "[  OK  ] Started", "[-1.000000] x", "[0x1.000000] x", " [    0.060000] x"} {
		if text, _, ok := CutPrintk(s); ok || text != s {
			t.Errorf("%q: %q, %v", s, text, ok)
		}
	}
}

// TestBounds: what a guest claims costs no more than it should.
func TestBounds(t *testing.T) {
	var d Decoder
	d.Line("TAP version 13", -1)
	d.Line("1..9999999", -1)
	d.Line("ok 1 "+strings.Repeat("a", 1<<20), -1)
	got := d.Subtests()
	if len(got) != 1+maxLost || len(got[0].Name) > 2*maxText || got[maxLost].Name != "#257 and 9999742 more" {
		t.Errorf("%d tests, the last %q", len(got), got[len(got)-1].Name)
	}
	d = Decoder{}
	for range 3000 {
		d.Line("TAP version 13", -1)
		d.Line("1..16777215", -1)
		for range 100 {
			d.Line(strings.Repeat("x", 200), -1)
		}
	}
	got = d.Subtests()
	bytes := 0
	for _, s := range got {
		for _, l := range s.Lines {
			bytes += len(l)
		}
	}
	if len(got) > maxTests || bytes > maxKept {
		t.Errorf("%d tests with %d bytes of lines", len(got), bytes)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add("KTAP version 1\n1..2\n  # Subtest: a\n  1..9\n  ok 1 x # SKIP y\nnot ok 1 a\n# # TAP version 13\n# # ok 1\n1..4\n")
	f.Add("\t# Subtest: m\n\tok 1 - x # TODO\nok 1 - m\nTAP version 14\n[    0.1] ok 3\n1..0 # SKIP\n")
	f.Fuzz(func(t *testing.T, text string) {
		got := readAll(text)
		if len(got) > maxTests {
			t.Errorf("%d tests", len(got))
		}
		for _, s := range got {
			if s.Name == "" || !slices.Contains([]string{pass, fail, skip, todo, lost}, s.Status) || len(s.Lines) > maxLines {
				t.Errorf("%+v", s)
			}
			for _, x := range append(s.Lines, s.Name, s.Reason) {
				if strings.ContainsAny(x, "\x1b\n\r\x00") {
					t.Errorf("not clean: %q", x)
				}
			}
		}
	})
}
