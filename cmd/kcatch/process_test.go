package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"kcatch/internal/fixtures"
)

// patience is how long a script waits for what must come; it never decides what is right.
const patience = 60 * time.Second

// background is the kcatch that a script has started. Its output goes to the files kcatch.out and kcatch.err in the script's directory.
type background struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func backgroundOf(ts *testscript.TestScript) *background {
	b := ts.Value(backgroundKey{}).(*background)
	if b.cmd == nil {
		ts.Fatalf("nothing was started")
	}
	return b
}

type backgroundKey struct{}

// start PROGRAM [ARG ...] starts a program and goes on.
func start(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 {
		ts.Fatalf("usage: start PROGRAM [ARG ...]")
	}
	b := ts.Value(backgroundKey{}).(*background)
	var err error
	files := make([]*os.File, 2)
	for i, name := range []string{"kcatch.out", "kcatch.err"} {
		if files[i], err = os.Create(ts.MkAbs(name)); err != nil {
			ts.Fatalf("start: %v", err)
		}
		defer files[i].Close()
	}
	path := args[0]
	for _, dir := range filepath.SplitList(ts.Getenv("PATH")) {
		if p := filepath.Join(dir, args[0]); isExecutable(p) {
			path = p
			break
		}
	}
	cmd := exec.Command(path, args[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = ts.MkAbs("."), files[0], files[1]
	for _, name := range []string{"PATH", "HOME", "TMPDIR", "XDG_CACHE_HOME", "XDG_STATE_HOME"} {
		cmd.Env = append(cmd.Env, name+"="+ts.Getenv(name))
	}
	if err := cmd.Start(); err != nil {
		ts.Fatalf("start: %v", err)
	}
	b.cmd, b.done = cmd, make(chan struct{})
	done := b.done
	go func() {
		_ = cmd.Wait() // how it ended is in the ProcessState
		close(done)
	}()
	ts.Defer(func() {
		_ = cmd.Process.Kill()
		<-done
	})
}

func isExecutable(path string) bool {
	st, err := os.Stat(path)
	return err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0
}

// until FILE [REGEXP] waits until the file is there and has the text. The started program must live meanwhile.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: until FILE [REGEXP]")
	}
	b := backgroundOf(ts)
	pattern := regexp.MustCompile("")
	if len(args) == 2 {
		pattern = regexp.MustCompile(args[1])
	}
	seen := func() bool {
		data, err := os.ReadFile(ts.MkAbs(args[0]))
		return err == nil && pattern.Match(data)
	}
	for deadline := time.Now().Add(patience); !seen(); time.Sleep(5 * time.Millisecond) {
		select {
		case <-b.done:
			if !seen() {
				ts.Fatalf("until %s: the program ended: %v\n%s", strings.Join(args, " "), b.cmd.ProcessState, read(ts, "kcatch.err"))
			}
			return
		default:
		}
		if time.Now().After(deadline) {
			ts.Fatalf("until %s: not in %v\n%s", strings.Join(args, " "), patience, read(ts, "kcatch.err"))
		}
	}
}

func read(ts *testscript.TestScript, name string) string {
	data, _ := os.ReadFile(ts.MkAbs(name)) // for a message only
	return string(data)
}

// signal INT|TERM|HUP|KILL sends a signal to the started program alone.
func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	signals := map[string]os.Signal{"INT": os.Interrupt, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "KILL": os.Kill}
	if neg || len(args) != 1 || signals[args[0]] == nil {
		ts.Fatalf("usage: signal INT|TERM|HUP|KILL")
	}
	if err := backgroundOf(ts).cmd.Process.Signal(signals[args[0]]); err != nil {
		ts.Fatalf("signal: %v", err)
	}
}

// ended CODE waits for the end of the started program. As in a shell, 128 and the signal's number stand for a signal.
func ended(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: ended CODE")
	}
	b := backgroundOf(ts)
	select {
	case <-b.done:
	case <-time.After(patience):
		ts.Fatalf("ended: still there after %v\n%s", patience, read(ts, "kcatch.err"))
	}
	got := b.cmd.ProcessState.ExitCode()
	if ws, ok := b.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && ws.Signaled() {
		got = 128 + int(ws.Signal())
	}
	ts.Logf("[stdout]\n%s[stderr]\n%s", read(ts, "kcatch.out"), read(ts, "kcatch.err"))
	if strconv.Itoa(got) != args[0] {
		ts.Fatalf("ended with %d, want %s", got, args[0])
	}
}

// [!] runs PROGRAM: waits until a process of this script (they all have its HOME) runs that program, or with ! until the last one is
// gone. PROGRAM is the beginning of the file's name; "." is any. A shell that says what it does next has yet to begin it.
func runs(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) != 1 {
		ts.Fatalf("usage: [!] runs PROGRAM")
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		found := processes(ts.Getenv("HOME"), strings.TrimPrefix(args[0], "."))
		switch late := time.Now().After(deadline); {
		case (len(found) > 0) != neg:
			return
		case late && neg:
			ts.Fatalf("left behind: %v", found)
		case late:
			ts.Fatalf("%s does not run", args[0])
		}
	}
}

func processes(home, program string) (found []string) {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	for _, dir := range dirs {
		env, err := os.ReadFile(dir + "/environ")
		if err != nil || !bytes.Contains(append([]byte{0}, env...), []byte("\x00HOME="+home+"\x00")) {
			continue // ended, or another user's
		}
		exe, err := os.Readlink(dir + "/exe")
		if err == nil && strings.HasPrefix(filepath.Base(exe), program) {
			found = append(found, filepath.Base(dir)+" "+exe)
		}
	}
	return found
}

// hold FIFO waits until the started program reads the FIFO, and then leaves it waiting for more.
func hold(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: hold FIFO")
	}
	b := backgroundOf(ts)
	for deadline := time.Now().Add(patience); ; time.Sleep(5 * time.Millisecond) {
		// Without a reader this fails with ENXIO, fifo(7).
		f, err := os.OpenFile(ts.MkAbs(args[0]), os.O_WRONLY|syscall.O_NONBLOCK, 0)
		if err == nil {
			ts.Defer(func() { f.Close() })
			return
		}
		select {
		case <-b.done:
			ts.Fatalf("hold: the program ended: %v\n%s", b.cmd.ProcessState, read(ts, "kcatch.err"))
		default:
		}
		if !errors.Is(err, syscall.ENXIO) || time.Now().After(deadline) {
			ts.Fatalf("hold: %v", err)
		}
	}
}

// smalldisk SIZE DIR CODE PROGRAM [ARG ...] runs a program that finds DIR to be a file system of that size, and checks its
// exit code. The mount is in a namespace of its own and goes away with the program.
func smalldisk(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 4 {
		ts.Fatalf("usage: smalldisk SIZE DIR CODE PROGRAM [ARG ...]")
	}
	if err := os.MkdirAll(ts.MkAbs(args[1]), 0o755); err != nil {
		ts.Fatalf("smalldisk: %v", err)
	}
	namespace := "-m"
	if os.Geteuid() != 0 {
		namespace = "-Urm"
	}
	in := func(program ...string) []string {
		return append([]string{namespace, "sh", "-c", `mount -t tmpfs -o size="$1" none "$2" && shift 2 && exec "$@"`, "sh", args[0], ts.MkAbs(args[1])}, program...)
	}
	may := exec.Command("unshare", in("true")...).Run() == nil
	fixtures.Need(ts.Value(testKey{}).(testing.TB), may, "the right to mount a tmpfs", "it as root")
	exits(ts, false, append([]string{args[2], "unshare"}, in(args[3:]...)...))
}

type testKey struct{}

// lines MAX: standard error of the last command has at most so many lines, and each begins as it should.
func lines(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: lines MAX")
	}
	most, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("lines: %v", err)
	}
	text := ts.ReadFile("stderr")
	if n := strings.Count(text, "\n"); n > most {
		ts.Fatalf("%d lines on standard error, at most %d:\n%s", n, most, text)
	}
	for _, l := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		if l != "" && !strings.HasPrefix(l, "kcatch: ") && !strings.HasPrefix(l, "hint: ") && !strings.HasPrefix(l, "  ") {
			ts.Fatalf("a line of nobody on standard error: %q", l)
		}
	}
}

// fake copies the kernel tree and the tools of testdata/fake into the script's directory, the tools in front of PATH.
// With an argument the tools are all there is on PATH, kcatch and what scripts need beside them.
func fake(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 1 {
		ts.Fatalf("usage: fake [alone]")
	}
	dir := ts.Value(fakeKey{}).(string)
	for _, part := range []string{"bin", "linux"} {
		if err := os.CopyFS(ts.MkAbs(part), os.DirFS(filepath.Join(dir, part))); err != nil {
			ts.Fatalf("fake: %v", err)
		}
	}
	bin := ts.MkAbs("bin")
	if len(args) == 0 {
		ts.Setenv("PATH", bin+string(filepath.ListSeparator)+ts.Getenv("PATH"))
		return
	}
	for _, tool := range []string{"kcatch", "sh", "cat", "sleep", "sed", "grep", "mv", "mkdir", "xz", "cp", "rm"} {
		path, err := exec.LookPath(tool)
		if err == nil {
			err = os.Symlink(path, filepath.Join(bin, tool))
		}
		if err != nil {
			ts.Fatalf("fake: %v", err)
		}
	}
	ts.Setenv("PATH", bin)
}

type fakeKey struct{}
