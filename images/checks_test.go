package images

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// checksHere runs the guest's own loop around scripts on this machine, with the guest's shell, and reads back what it says.
func checksHere(t *testing.T, scripts ...string) ([]CheckRun, string) {
	t.Helper()
	dir := t.TempDir()
	var list []Check
	for _, s := range scripts {
		limit := time.Minute
		if strings.Contains(s, "3600") { // this one has no end
			limit = time.Second
		}
		list = append(list, Check{Script: []byte(s), Limit: limit})
	}
	nodes := append([]node{{name: "etc/kcatch/marker", data: []byte("m1\n")}, {name: "etc/kcatch/bin", mode: modeDir}}, checkNodes(list)...)
	for _, n := range nodes {
		path := filepath.Join(dir, strings.TrimPrefix(n.name, "etc/kcatch/"))
		var err error
		if n.mode&modeDir != 0 {
			err = os.Mkdir(path, 0o755)
		} else {
			text := strings.NewReplacer("/etc/kcatch", dir, "work=/tmp", "work="+dir, "grace=3", "grace=1", "/dev/kmsg", filepath.Join(dir, "kmsg")).Replace(string(n.data))
			err = os.WriteFile(path, []byte(text), 0o644)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command(busybox(t), "--install", "-s", filepath.Join(dir, "bin")).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute) // that it hangs is the failure
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(dir, "bin", "sh"), filepath.Join(dir, "checks.sh"))
	cmd.Env = []string{"PATH=" + filepath.Join(dir, "bin")}
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, out)
	}
	r := CheckReader{Marker: "m1", Checks: len(scripts)}
	for line := range strings.Lines(string(out)) {
		r.Console(line)
	}
	if !strings.Contains(string(out), "\n"+ChecksLine("m1")+"\n") {
		t.Errorf("no end:\n%.2000s", out)
	}
	return r.End(), string(out)
}

// TestChecks: each check has its status and its output, one that fails, hangs or leaves something behind does not keep the next from
// running, and an output without end costs no more than it should.
func TestChecks(t *testing.T) {
	t.Parallel() // it waits, for the most part
	begin := time.Now()
	runs, out := checksHere(t,
		"echo out; echo err >&2; printf 'no newline'", // 1
		"exit 7",                              // 2
		"echo before; sleep 3600; echo after", // 3
		"kill -SEGV $$",                       // 4
		"sleep 5 & echo left something running; echo; echo",                     // 5
		"printf '%2500s|\\n' x; printf '%999s\\n%1000s\\n%1001s' a b c",         // 6
		"seq 30000 | sed 's/^/line /'",                                          // 7
		"head -c 300000 /dev/zero | tr '\\0' x; exit 1",                         // 8
		"read x || echo no input; echo 'kcatch: check 009 exited 0 at 1.00 m1'", // 9
		"sleep 5 & seq 30000",                                                   // 10
	)
	t.Logf("%s, %d bytes", time.Since(begin).Round(time.Millisecond), len(out))
	if len(runs) != 10 {
		t.Fatalf("%d runs\n%.3000s", len(runs), out)
	}
	for i, want := range []CheckRun{
		{Status: 0, Output: "out\nerr\nno newline"},
		{Status: 7},
		{Stopped: true, Output: "before"},
		{Status: 128 + 11},
		{Output: "left something running\n\n"},
		{Output: fmt.Sprintf("%2500s|\n%999s\n%1000s\n%1001s", "x", "a", "b", "c")},
		{Output: "…line 30000", Truncated: true},
		{Status: 1, Output: "…" + strings.Repeat("x", maxOutput), Truncated: true},
		{Output: "no input\nkcatch: check 009 exited 0 at 1.00 m1"},
		{Output: "…", Truncated: true},
	} {
		got := runs[i]
		if got.Seconds > 60 || want.Stopped && got.Seconds < 0.9 {
			t.Errorf("check %d took %v s", i+1, got.Seconds)
		}
		want.Begun, want.Ended = true, true
		got.Seconds, got.began = 0, 0
		if end, ok := strings.CutPrefix(want.Output, "…"); ok && strings.HasSuffix(got.Output, end) && len(got.Output) > maxOutput/2 && len(got.Output) <= maxOutput {
			want.Output = got.Output
		}
		if got.Begun != want.Begun || got.Ended != want.Ended || got.Stopped != want.Stopped || !want.Stopped && got.Status != want.Status ||
			got.Output != want.Output || got.Truncated != want.Truncated {
			t.Errorf("check %d: %.300v, %d bytes; want %.300v", i+1, got, len(got.Output), want)
		}
	}
	if len(out) > 10*3*maxOutput {
		t.Errorf("%d bytes on the console", len(out))
	}
}

func TestCheckReader(t *testing.T) {
	kernel := map[string]bool{"[    1.500000] a line of the kernel": true, "[    1.500000] and one more": true}
	for _, c := range []struct{ name, console, log, want string }{
		{"nothing", "kcatch: init reached m1\n| x\n", "", ""},
		{"plain", "kcatch: check 001 begins at 0.50 m1\r\n[    0.51] kcatch: check 001 begins at 0.50 m1\r\n| a\r\n| \r\n| b\r\nkcatch: check 001 exited 3 at 0.75 m1\r\n| c\r\n", "",
			`1: exited 3, 0.25 s, "a\n\nb"` + "\n"},
		{"the kernel cuts in", "kcatch: check 001 begins at - m1\n| one li[    1.500000] a line of the kernel\r\n[    1.500000] and one more\nne\n|[    1.500000] and one more\n two\n" +
			"[    1.500000] a line of the kernel\n| [    1.500000] a line of the kernel\n| x [    1.500000] of nobody\nkcatch: check 001 exited 0 at - m1", "",
			`1: exited 0, 0.00 s, "one line\ntwo\n[    1.500000] a line of the kernel\nx [    1.500000] of nobody"` + "\n"},
		{"the kernel dies", "kcatch: check 001 begins at 1.00 m1\n| a\nkcatch: check 001 exited 0 at 1.50 m1\nkcatch: check 002 begins at 1.50 m1\n| b\nBUG: x\n", "",
			`1: exited 0, 0.50 s, "a"` + "\n" + `2: did not end, "b"` + "\n"},
		{"the end is in the log only", "kcatch: check 001 begins at 1.00 m1\n| a\nkcatch: check 001 exi[    1.500000] x\nted 0 at 1.50 m1\n", "kcatch: check 001 begins at 1.00 m1\nkcatch: check 001 exited 0 at 1.50 m1",
			`1: exited 0, 0.50 s, "a"` + "\n"},
		{"stopped", "kcatch: check 002 begins at 1.00 m1\n!\nkcatch: check 002 stopped at 61.00 m1\n", "", "1: not begun\n" + `2: stopped, 60.00 s, "" truncated` + "\n"},
		{"others' words", "kcatch: check 001 begins at 1.00 m2\nkcatch: check 003 begins at 1.00 m1\nkcatch: check 000 begins at 1.00 m1\nkcatch: check 1 begins at 1.00 m1\nkcatch: check 001 exited 256 at 1.00 m1\n" +
			"kcatch: check 001 exited at 1.00 m1\nkcatch: check 001 jumps at 1.00 m1\nkcatch: check 001 begins\nkcatch: check 001 begins on 1.00 m1\nkcatch: check", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := CheckReader{Marker: "m1", Checks: 2, Kernel: func(s string) bool { return kernel[strings.TrimSpace(s)] }}
			for line := range strings.Lines(c.console) {
				r.Console(line)
			}
			for line := range strings.Lines(c.log) {
				r.Event(line)
			}
			var got strings.Builder
			for i, run := range r.End() {
				switch {
				case !run.Begun:
					fmt.Fprintf(&got, "%d: not begun\n", i+1)
					continue
				case !run.Ended:
					fmt.Fprintf(&got, "%d: did not end", i+1)
				case run.Stopped:
					fmt.Fprintf(&got, "%d: stopped, %.2f s", i+1, run.Seconds)
				default:
					fmt.Fprintf(&got, "%d: exited %d, %.2f s", i+1, run.Status, run.Seconds)
				}
				fmt.Fprintf(&got, ", %q%s\n", run.Output, map[bool]string{true: " truncated"}[run.Truncated])
			}
			if got.String() != c.want {
				t.Errorf("got:\n%s\nwant:\n%s", got.String(), c.want)
			}
		})
	}
}

// TestCheckLines: each line is told once and whole, however long the output, and none of a check that has not begun.
func TestCheckLines(t *testing.T) {
	var got []string
	r := CheckReader{Marker: "m1", Checks: 2, Kernel: func(s string) bool { return s == "[k]" }, Line: func(n int, text string) {
		if len(text) > maxLine {
			t.Errorf("a line of %d bytes", len(text))
		}
		got = append(got, fmt.Sprint(n, " ", text[:min(len(text), 9)]))
	}}
	long := strings.Repeat("+ "+strings.Repeat("x", 1000)+"\n", 200)
	for line := range strings.Lines("| early\nkcatch: check 001 begins at 1.00 m1\n| a\n+ b\nc\n| d[k]\ne\n|\n!\n| f\nkcatch: check 001 exited 0 at 1.50 m1\n| g\n" +
		"kcatch: check 002 begins at 1.50 m1\n| long\n" + long + "| last") {
		r.Console(line)
	}
	runs := r.End()
	if want := "1 ab,1 de,1 ,1 f,2 longxxxxx,2 last"; strings.Join(got, ",") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, ","), want)
	}
	if !runs[0].LeftOut || runs[1].LeftOut || !runs[1].Truncated {
		t.Errorf("left out: %v, %v; truncated: %v", runs[0].LeftOut, runs[1].LeftOut, runs[1].Truncated)
	}
}

func TestChecksImage(t *testing.T) {
	b, err := Build(Spec{Busybox: busybox(t), Marker: "m", Checks: []Check{{Script: []byte("true"), Limit: time.Minute}, {Script: []byte("false\n")}}})
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, m := range read(t, b) {
		if strings.HasPrefix(m.name, "etc/kcatch/checks/") {
			got[m.name] = string(m.data)
		}
	}
	for name, want := range map[string]string{"001": "", "001/limit": "60\n", "001/script": "true\n", "002": "", "002/limit": "1\n", "002/script": "false\n\n"} {
		if have, ok := got["etc/kcatch/checks/"+name]; !ok || have != want {
			t.Errorf("%s: %q, want %q", name, have, want)
		}
	}
	plain, err := Build(Spec{Busybox: busybox(t), Marker: "m"})
	if err != nil {
		t.Fatal(err)
	}
	if slices.ContainsFunc(read(t, plain), func(m member) bool { return strings.Contains(m.name, "checks") }) {
		t.Error("an image without checks has something of them")
	}
}

func FuzzCheckReader(f *testing.F) {
	f.Add("kcatch: check 001 begins at 0.5 m1\n| a[x]\n+ b\n!\nkcatch: check 001 exited 0 at 1 m1\nkcatch: check 999 stopped at - m1\n")
	f.Add("kcatch: check 002 exited 0 at 1 m1\n| a\nkcatch: check 001 begins at 1e9 m1\n|\n||\n")
	f.Fuzz(func(t *testing.T, text string) {
		r := CheckReader{Marker: "m1", Checks: 5, Kernel: func(s string) bool { return strings.HasPrefix(s, "[x") }, Line: func(number int, text string) {
			if number < 1 || number > 5 || len(text) > maxLine {
				t.Errorf("a line of %d bytes of check %d", len(text), number)
			}
		}}
		for line := range strings.Lines(text) {
			r.Console(line)
		}
		for line := range strings.Lines(text) {
			r.Event(line)
		}
		for _, run := range r.End() {
			if len(run.Output) > maxOutput || run.Ended && !run.Begun || run.Status < 0 || run.Status > 255 || run.Seconds < 0 {
				t.Errorf("%+v", run)
			}
		}
	})
}
