package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"kcatch/internal/fixtures"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"kcatch": main, "tui-panics": tuiPanics})
}

// exitAtOnce keeps the race detector from waiting a second before it lets a program end: a user's kcatch does not wait either, and there
// are some 400 of them in the scripts.
const exitAtOnce = "atexit_sleep_ms=0"

// TestScripts runs the command line's contract as scripts: testdata/script/*.txt, kcatch itself inside. Scripts named
// real-* boot real kernels under a real QEMU; the others never start one, and build with the tools of testdata/fake.
func TestScripts(t *testing.T) {
	kcatch, err := exec.LookPath("kcatch")
	if err != nil {
		t.Fatal(err)
	}
	fakeDir, err := filepath.Abs("testdata/fake")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir: "testdata/script",
		Setup: func(e *testscript.Env) error {
			e.Values[backgroundKey{}], e.Values[fakeKey{}], e.Values[testKey{}] = &background{}, fakeDir, e.T()
			e.Setenv("HOME", e.WorkDir)
			e.Setenv("KCATCH", kcatch) // for scripts that have another PATH
			e.Setenv("XDG_STATE_HOME", filepath.Join(e.WorkDir, "state"))
			e.Setenv("GORACE", exitAtOnce)
			if strings.HasPrefix(filepath.Base(e.WorkDir), "script-real-") {
				cache, err := os.UserCacheDir()
				if err != nil {
					return err
				}
				e.Setenv("XDG_CACHE_HOME", cache)
				e.Setenv("KCATCH_ACCEL", "tcg") // not what the host's KVM makes of it
				for name, fixture := range map[string]string{
					"SEED61": fixtures.Seed61, "GOOD61": fixtures.Good61, "SEED612": fixtures.Seed612, "GOOD612": fixtures.Good612,
				} {
					k := fixtures.Find(e.T().(testing.TB), fixture)
					e.Setenv(name, filepath.Dir(k.Vmlinux))
					e.Setenv(name+"_KERNEL", k.BzImage)
					e.Setenv(name+"_VMLINUX", k.Vmlinux)
				}
				return nil
			}
			e.Setenv("XDG_CACHE_HOME", filepath.Join(e.WorkDir, "cache"))
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"exits": exits, "lines": lines, "fake": fake, "smalldisk": smalldisk,
			"start": start, "until": until, "signal": sendSignal, "ended": ended, "runs": runs, "hold": hold,
		},
	})
}

// exits CODE PROGRAM [ARG ...] runs a program and checks its exit code; testscript itself knows only zero and not.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE PROGRAM [ARG ...]")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("%s exits with %s, want %s", strings.Join(args[1:], " "), got, args[0])
	}
}
