package doctor

import (
	"context"
	"io"
	"os"
	"os/exec"
	"strings"

	"kcatch/internal/blame"
)

// Install installs Debian packages: apt-get update, apt-get install, with sudo for who is not root. What they print goes to out, and sudo may ask
// for a password on in. When ctx ends apt-get is asked to end, and waited for: a package is not left half installed.
func Install(ctx context.Context, packages []string, in io.Reader, out io.Writer) error {
	line := "apt-get install --no-install-recommends " + strings.Join(packages, " ")
	if !there("apt-get") {
		return blame.New(blame.Infrastructure, "doctor: this machine has no apt-get", "install with its own package manager what Debian calls "+strings.Join(packages, ", "))
	}
	var front []string
	if os.Geteuid() != 0 {
		if !there("sudo") {
			return blame.New(blame.Infrastructure, "doctor: only root installs packages, and there is no sudo", "as root: "+line)
		}
		front = []string{"sudo"}
	}
	apt := func(args ...string) error {
		// Through env, because sudo leaves the environment behind.
		words := append(append(front, "env", "DEBIAN_FRONTEND=noninteractive", "apt-get"), args...)
		cmd := exec.CommandContext(ctx, words[0], words[1:]...)
		cmd.Stdin, cmd.Stdout, cmd.Stderr = in, out, out
		cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
		return cmd.Run()
	}
	_ = apt("update", "-q") // without a network what is in the lists may do; what is not, the next one says
	err := apt(append([]string{"install", "-q", "-y", "--no-install-recommends"}, packages...)...)
	switch {
	case ctx.Err() != nil:
		return &blame.Error{Kind: blame.Interrupted, Msg: "doctor: interrupted", Err: ctx.Err()}
	case err != nil:
		return &blame.Error{Kind: blame.Infrastructure, Msg: "doctor: apt-get install: " + err.Error(), Hint: "as root: " + line, Err: err}
	}
	return nil
}
