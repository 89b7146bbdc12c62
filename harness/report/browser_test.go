package report

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/fixtures"
)

// TestSmokeHTMLInABrowser opens pages from files in headless Chromium, once for all that is to be seen: what is visible after clicks and
// keys, whether it can be read in both themes, on a narrow screen and without scripts, and that hostile text does nothing.
// testdata/drive.html does it, from outside: the page itself has no hook for a test.
//
// There is no network and no port: the page is a file, and so is what was seen, by --dump-dom.
func TestSmokeHTMLInABrowser(t *testing.T) {
	chromium, err := exec.LookPath("chromium")
	fixtures.Need(t, err == nil, "chromium", "make test-deps")

	var s verdict.Smoke
	r := death()
	r.Log = nil
	for i := range 1000 {
		r.Log = append(r.Log, verdict.LogLine{Seq: uint64(i), Level: 6, Text: fmt.Sprint("record ", i)})
	}
	r.Log[600].Text = "kernel BUG at include/linux/f.h:503!"
	r.Timeline = []verdict.Mark{{Stage: "firmware"}, {Stage: "start_kernel", Seconds: 0.2}}
	for _, k := range []string{"k1", "k2"} {
		s.Add(cellOf(k, "q35", "", verdict.CellFail, r))
		s.Add(cellOf(k, "microvm", "", verdict.CellPass, &verdict.Result{Verdict: verdict.Good, Summary: "reached init", Log: r.Log}))
	}
	skipped := cellOf("k3", "q35", "", verdict.CellSkip, nil)
	skipped.Reason = "CONFIG_X does not take"
	s.Add(skipped)

	dir := t.TempDir()
	drive, err := os.ReadFile("testdata/drive.html")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"page.html": page(t, &s), "hostile.html": page(t, hostilePage()), "drive.html": string(drive)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, talk := dumpDOM(t, chromium, dir, "drive.html")
	for _, line := range strings.Split(talk, "\n") {
		if strings.Contains(line, "CONSOLE") && !(strings.Contains(line, "Blocked script execution") && strings.Contains(line, "page.html?still")) {
			t.Errorf("on the console: %s", line)
		}
	}
	var seen []struct{ What, Value string }
	if err := json.Unmarshal([]byte(textOf(t, out, "seen")), &seen); err != nil {
		t.Fatalf("%v: %s", err, textOf(t, out, "seen"))
	}
	want := map[string]string{
		"at first": "matrix", "the matrix fits": "true", "readable, light": "yes",
		"after a click": "cell/k1/q35", "its address": "#cell/k1/q35", "its title": "k1/q35 · kcatch smoke",
		"lines of the log": "1000", "the report is in sight": "true", "lines of a log that is not open": "0",
		"readable, light, death": "yes", "theme": "theme: dark", "the background changes": "true", "readable, dark, death": "yes",
		"found": "1 of 11 lines, Enter for the next", "only these": "11",
		"after Esc": "matrix", "readable, dark": "yes", "focus": "#cell/k1/q35", "focus, right": "#cell/k1/microvm", "focus, down": "#cell/k2/microvm",
		"opened": "cell/k2/microvm", "after left": "cell/k2/q35",
		"by its address": "cell/k1/q35", "the section is in sight": "true", "its report is in sight": "true", "a death fits 400 pixels": "true", "the matrix fits 400 pixels": "true",
		"without scripts": "cell/k1/q35", "its log": "true", "what needs scripts": "0",
		"hostile text ran": "false",
	}
	var names []string
	for _, s := range seen {
		names = append(names, s.What)
		if v, ok := want[s.What]; !ok || v != s.Value {
			t.Errorf("%s: %q, want %q", s.What, s.Value, v)
		}
	}
	for name := range want {
		if !slices.Contains(names, name) {
			t.Errorf("%s: not seen", name)
		}
	}
}

// dumpDOM opens a file of dir in a Chromium that has no network, and returns the document when all its timers are done, and what the
// browser said, its console included.
func dumpDOM(t *testing.T, chromium, dir, file string) (dom, talk string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	home := t.TempDir()
	cmd := exec.CommandContext(ctx, chromium, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
		"--disable-component-update", "--disable-sync", "--disable-extensions", "--disable-dev-shm-usage", "--proxy-server=socks5://0.0.0.0:0",
		"--user-data-dir="+home, "--allow-file-access-from-files", "--enable-logging=stderr", "--window-size=1280,1000", "--blink-settings=preferredColorScheme=1",
		"--virtual-time-budget=20000", "--dump-dom", "file://"+filepath.Join(dir, file))
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CONFIG_HOME="+home, "XDG_CACHE_HOME="+home)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Run(); err != nil {
		t.Fatalf("chromium: %v\n%s", err, errs.String())
	}
	return out.String(), errs.String()
}
