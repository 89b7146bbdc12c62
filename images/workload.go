package images

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"kcatch/internal/blame"
)

// workloads holds a shell script NAME.sh for each workload, and the source of the program that they share.
//
//go:embed guest/workloads
var workloads embed.FS

const helperSource = "guest/workloads/helper.c"

// Workloads lists the workloads by name, sorted.
func Workloads() []string {
	entries, _ := fs.ReadDir(workloads, "guest/workloads") // an embedded directory cannot fail
	var names []string
	for _, e := range entries {
		if name, ok := strings.CutSuffix(e.Name(), ".sh"); ok {
			names = append(names, name)
		}
	}
	return names
}

// CheckWorkload returns a usage error that names the workloads when there is none of that name.
func CheckWorkload(name string) error {
	_, err := workloadScript(name)
	return err
}

func workloadScript(name string) ([]byte, error) {
	data, err := workloads.ReadFile("guest/workloads/" + name + ".sh")
	if err != nil || strings.ContainsAny(name, "/\\") {
		return nil, blame.New(blame.Usage, fmt.Sprintf("workload %q: there is none of that name", name), "workloads: "+strings.Join(Workloads(), ", "))
	}
	return data, nil
}

// helperFlags make a program that stands on system calls alone, at fixed addresses: it needs ELF of the kernel and no C
// library of the host.
var helperFlags = []string{"-O1", "-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie", "-fcf-protection=none",
	"-Wl,--build-id=none", "-Wl,-z,noexecstack", "-s"}

// BuildHelper compiles the program that a workload's steps call for what busybox cannot do, with gcc, cc or clang of this
// machine; it takes about 0.1 s. Without a compiler, or with one that cannot, the error is an infrastructure error: a
// workload runs without the program too, and its steps then say what they had to leave out.
func BuildHelper(ctx context.Context) ([]byte, error) {
	source, err := workloads.ReadFile(helperSource)
	if err != nil {
		return nil, err
	}
	compiler := ""
	for _, name := range []string{"gcc", "cc", "clang"} {
		if p, err := exec.LookPath(name); err == nil {
			compiler = p
			break
		}
	}
	if compiler == "" {
		return nil, blame.New(blame.Infrastructure, "build the workload's helper: no C compiler", "apt-get install gcc")
	}
	dir, err := os.MkdirTemp("", "kcatch-helper-")
	if err != nil {
		return nil, &blame.Error{Kind: blame.Infrastructure, Msg: "build the workload's helper: " + err.Error(), Err: err}
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "helper")
	cmd := exec.CommandContext(ctx, compiler, append(helperFlags, "-x", "c", "-o", out, "-")...)
	cmd.Stdin = strings.NewReader(string(source))
	if text, err := cmd.CombinedOutput(); err != nil {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		first, _, _ := strings.Cut(strings.TrimSpace(string(text)), "\n")
		return nil, &blame.Error{Kind: blame.Infrastructure, Msg: fmt.Sprintf("build the workload's helper: %s: %v: %s", compiler, err, first), Err: err}
	}
	if err := CheckStatic(out); err != nil {
		return nil, err
	}
	return os.ReadFile(out)
}

// Outcome is how a step of a workload ended.
type Outcome string

// Begun is a step that has not ended: the guest died in it, or its last line was lost. Absent is one that found nothing
// to work on: a kernel without KSM, an image without the helper.
const (
	Begun  Outcome = "begun"
	OK     Outcome = "ok"
	Absent Outcome = "not there"
	Failed Outcome = "failed"
)

// Step is one step of a workload, as the guest told of it.
type Step struct {
	Name    string
	Outcome Outcome
	Note    string // what is not there, or what failed; as the guest wrote it
}

// maxSteps bounds what a guest may claim to have done.
const maxSteps = 100

// AddStep reads a line of the console or the log and enters what it says of a workload's step into steps, which stay in the
// order in which they began. A line that says nothing of one changes nothing. The lines, each a record of the log:
//
//	kcatch-workload: ksm begins
//	kcatch-workload: ksm not there: no KSM in this kernel
//	kcatch-workload: swap failed with 1: nothing went to swap
func AddStep(steps []Step, line string) []Step {
	_, rest, ok := strings.Cut(line, "kcatch-workload: ")
	if !ok {
		return steps
	}
	name, what, ok := strings.Cut(strings.TrimRight(rest, "\r\n"), " ")
	if !ok || !validMarker(name) {
		return steps
	}
	s := Step{Name: name}
	what, s.Note, _ = strings.Cut(what, ": ")
	switch {
	case what == "begins":
		s.Outcome, s.Note = Begun, ""
	case what == "ok":
		s.Outcome = OK
	case what == "not there":
		s.Outcome = Absent
	case strings.HasPrefix(what, "failed with "):
		s.Outcome = Failed
		switch status, _ := strconv.Atoi(strings.TrimPrefix(what, "failed with ")); {
		case s.Note != "":
		case status == 128+9:
			s.Note = "killed, after 30 s or for want of memory"
		default:
			s.Note = "exit status " + strconv.Itoa(status)
		}
	default:
		return steps
	}
	for i := range steps {
		if steps[i].Name == name {
			if s.Outcome != Begun { // the console and the log tell the same twice
				steps[i] = s
			}
			return steps
		}
	}
	if len(steps) == maxSteps {
		return steps
	}
	return append(steps, s)
}
