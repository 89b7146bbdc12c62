package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/creack/pty"

	"kcatch/internal/fixtures"
)

// TestDebugOnATerminal: gdb is started without being asked for, and Ctrl-C is its own: it stops a machine that runs, and kcatch
// lives on. Quitting gdb ends all.
func TestDebugOnATerminal(t *testing.T) {
	_, err := exec.LookPath("gdb")
	fixtures.Need(t, err == nil, "gdb", "make test-deps")
	k := fixtures.Find(t, fixtures.Good61)
	out := t.TempDir()
	cmd := exec.Command("kcatch", "debug", "--accel", "tcg", "--kernel", k.BzImage, "--vmlinux", k.Vmlinux, "--out", out, "--break", "rest_init", "--run", "sleep 1000")
	cmd.Env = append(os.Environ(), "TERM=xterm", "NO_COLOR=1")
	terminal, err := pty.StartWithSize(cmd, &pty.Winsize{Rows: 1000, Cols: 200})
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	seen := &transcript{}
	go func() { _, _ = io.Copy(seen, terminal) }() // EIO at its end
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	defer func() { _ = cmd.Process.Kill() }()
	expect := func(pattern string) {
		t.Helper()
		for deadline := time.Now().Add(patience); !seen.pass(regexp.MustCompile(pattern)); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("no %q in:\n%s", pattern, seen.rest())
			}
		}
	}
	say := func(text string) {
		t.Helper()
		if _, err := io.WriteString(terminal, text); err != nil {
			t.Fatal(err)
		}
	}
	expect(`STOP  stopped at rest_init`)
	expect(`\(gdb\) `)
	say("kcatch-bt\n")
	expect(`#0 +0x[0-9a-f]+ in rest_init \(\)`)
	expect(`\(gdb\) `)
	say("continue\n")
	expect(`Continuing\.`)
	time.Sleep(200 * time.Millisecond) // gdb has the guest run, and takes Ctrl-C
	say("\x03")
	expect(`SIGINT, Interrupt`)
	expect(`\(gdb\) `)
	script, err := os.ReadFile(filepath.Join(out, "debug.gdb"))
	if err != nil {
		t.Fatal(err)
	}
	socket := regexp.MustCompile(`(?m)^target remote (.*)$`).FindStringSubmatch(string(script))[1]
	if _, err := os.Stat(socket); err != nil {
		t.Errorf("after Ctrl-C: %v", err)
	}
	say("set confirm off\nquit\n")
	select {
	case err := <-ended:
		if err != nil {
			t.Errorf("%v:\n%s", err, seen.rest())
		}
	case <-time.After(patience):
		t.Fatalf("gdb was left, and kcatch is there still:\n%s", seen.rest())
	}
	if _, err := os.Stat(socket); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("QEMU's run directory is left: %v", err)
	}
}

// transcript is what a terminal has shown, and how far it has been looked at.
type transcript struct {
	mu   sync.Mutex
	text strings.Builder
	at   int
}

func (s *transcript) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

// pass goes behind the next match of a pattern, if there is one.
func (s *transcript) pass(pattern *regexp.Regexp) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := pattern.FindStringIndex(s.text.String()[s.at:])
	if found == nil {
		return false
	}
	s.at += found[1]
	return true
}

func (s *transcript) rest() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()[s.at:]
}
