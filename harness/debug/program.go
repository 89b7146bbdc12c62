package debug

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"kcatch/harness"
	"kcatch/internal/blame"
)

// Program is who the machine is handed to. The zero value is nobody: the machine waits for a debugger of the user's.
type Program string

// The programs. Gdb attaches to the machine; Drgn and Crash read the core that is written of it.
const (
	Nobody Program = ""
	Gdb    Program = "gdb"
	Drgn   Program = "drgn"
	Crash  Program = "crash"
)

var packages = map[Program]string{Gdb: "gdb", Drgn: "python3-drgn", Crash: "crash"}

// Check refuses a program that is not installed.
func (p Program) Check() error {
	if p == Nobody {
		return nil
	}
	if _, err := exec.LookPath(string(p)); err != nil {
		return &blame.Error{Kind: blame.Infrastructure, Msg: "debug: " + string(p) + ": not found", Hint: "apt-get install " + packages[p], Err: err}
	}
	return nil
}

// argv is the program's command line; more is the user's end of it.
func (p Program) argv(h harness.Held, more []string) []string {
	switch p {
	case Gdb:
		return append([]string{"gdb", "-q", "-x", filepath.Join(h.Dir, scriptName)}, more...)
	case Drgn:
		return append([]string{"drgn", "-c", h.Core, "-s", h.Vmlinux}, more...)
	case Crash:
		return append([]string{"crash", h.Vmlinux, h.Core}, more...)
	}
	return nil
}

// Streams are the program's, as the caller's own.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// endGrace is how long a program may take to end after SIGTERM. gdb takes its target with it.
const endGrace = 2 * time.Second

// run runs a program to its end. It ends with the context, which is no error: that is one of the ways to leave.
func run(ctx context.Context, argv []string, s Streams) error {
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = s.In, s.Out, s.Err
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endGrace
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil, ctx.Err() != nil:
		return nil
	case errors.As(err, &exit):
		return &ProgramError{Program: argv[0], State: exit.ProcessState.String()}
	}
	return &blame.Error{Kind: blame.Infrastructure, Msg: "debug: " + argv[0] + ": " + err.Error(), Err: err}
}

// ProgramError is the end of a program with another status than 0.
type ProgramError struct{ Program, State string }

func (e *ProgramError) Error() string { return fmt.Sprintf("debug: %s: %s", e.Program, e.State) }
