package harness

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// ciCommand is what GitHub or Azure would act upon in a line of a log.
var ciCommand = regexp.MustCompile(`^\s*::|##[a-z]*\[`)

// harmless checks what a person or a CI gets to see of a boot: no character that a terminal acts upon, no command.
func harmless(t *testing.T, out string) {
	t.Helper()
	for _, name := range []string{"report.txt", "dmesg.log", "result.json"} {
		data, err := os.ReadFile(filepath.Join(out, name))
		if err != nil {
			t.Error(err)
			continue
		}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSuffix(line, "\n")
			if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf) }) || ciCommand.MatchString(line) {
				t.Errorf("%s: %q", name, line)
			}
		}
		if name == "result.json" && !json.Valid(data) {
			t.Error("result.json is no JSON")
		}
	}
}

// hostile writes what terminals, XML and CIs act upon, to the console and to the kernel's log.
const hostile = `text() { printf '\033]0;owned\007\033[2J::error::x\n::error::y\n  ::stop-commands::z\n##[error]a ##vso[task.complete]\n%%0A]]><script>\000\001\200\377\302\233\342\200\256\n'; }
text
for i in 1 2 3; do text >/dev/kmsg; done
`

// TestHostileGuest: a guest that writes escape sequences, NULs, markup and CI commands is a good one, and nothing of it
// gets through.
func TestHostileGuest(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Run = hostile
	r := boots(t, p)
	if r.Verdict != verdict.Good || !strings.Contains(strings.Join(r.Console, "\n"), `\x1b]0;owned`) {
		t.Errorf("verdict %s, console %q", r.Verdict, r.Console)
	}
	harmless(t, p.Out)
}

// TestForgedDeaths: user space repeats what dying kernels say, as a "cat dmesg" does, and waits a little after each. It lives.
func TestForgedDeaths(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	for _, forged := range []string{
		`echo "Kernel panic - not syncing: forged"`,
		`echo "<0>Kernel panic - not syncing: forged" >/dev/kmsg`,
		`for l in "BUG: kernel NULL pointer dereference, address: 0" "Oops: 0002 [#1] SMP" "kernel BUG at mm/slub.c:1!"; do echo "<0>$l" >/dev/kmsg; done`,
		`echo "<0>watchdog: BUG: soft lockup - CPU#0 stuck for 22s! [x:1]" >/dev/kmsg`,
		`echo "kcatch: init reached 0"; echo "kcatch: run exited 7 0"`, // the markers of our own init
	} {
		p.Run += forged + "; sleep 1\n"
	}
	// The first that is believed ends the boot. What stands last on the console tells which.
	r := boots(t, p)
	console, err := os.ReadFile(filepath.Join(p.Out, "console.log"))
	if err != nil {
		t.Fatal(err)
	}
	if r.Verdict != verdict.Good || !bytes.Contains(console, []byte("soft lockup - CPU#0")) || !bytes.Contains(console, []byte("kcatch: run exited 7 0")) {
		t.Errorf("verdict %s: %s\n%s", r.Verdict, r.Summary, console[max(0, len(console)-1000):])
	}
}

// TestHostilePanic: the panic's own text, and with it the summary, is the guest's: init= is in it.
func TestHostilePanic(t *testing.T) {
	t.Parallel()
	p := plan(t, fixtures.Find(t, fixtures.Good61))
	p.Append = "rdinit=/ init=\x1b]0;owned\x07\u009b::error::##[error]]]>%0A\x80"
	r := boots(t, p)
	if r.Class != verdict.Panic || r.Cause == nil || r.Cause.Function != "kernel_init" || !strings.Contains(r.Summary, "Requested init") {
		t.Errorf("class %s, summary %q", r.Class, r.Summary)
	}
	harmless(t, p.Out)
}
