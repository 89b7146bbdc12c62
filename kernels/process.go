package kernels

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"
)

// killDelay is how long a process group has to end after SIGTERM before it is killed. make removes the target it was
// writing when it gets the signal.
const killDelay = 3 * time.Second

// command is exec.CommandContext whose whole process group ends with the context: make's compilers as well as make. A
// terminal's Ctrl-C does not reach the group, only ctx does, so that the order of ending is ours.
func command(ctx context.Context, dir, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Dir = dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		pgid := cmd.Process.Pid
		time.AfterFunc(killDelay, func() { _ = syscall.Kill(-pgid, syscall.SIGKILL) })
		return syscall.Kill(-pgid, syscall.SIGTERM)
	}
	cmd.WaitDelay = killDelay + time.Second
	return cmd
}

// output runs a short command with the environment env (nil: ours) and returns what it printed on either stream, in order.
func output(ctx context.Context, dir string, env []string, name string, args ...string) ([]byte, error) {
	cmd := command(ctx, dir, name, args...)
	if cmd.Env = env; env == nil {
		cmd.Env = cEnv()
	}
	var b bytes.Buffer
	cmd.Stdout, cmd.Stderr = &b, &b
	err := cmd.Run()
	if ctx.Err() != nil {
		err = ctx.Err()
	}
	return b.Bytes(), err
}

// lastLine is a command's last line, which is where most tools say why they gave up.
func lastLine(out []byte) string {
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	return clip(lines[len(lines)-1])
}

// cEnv is our environment in the C locale, whose messages we can read.
func cEnv() []string { return append(os.Environ(), "LC_ALL=C", "LANGUAGE=") }
