package machine

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// replayDeadline is how long the test guest may take for one pass. It needs about 0.5 s.
const replayDeadline = 20 * time.Second

// Replays tries record and replay out: the test guest is recorded, and then runs again from the record; it must come to its own end both
// times. trouble says what went wrong, in words of one line; empty: it works. The error is one of this machine's, not of QEMU's.
// QEMU: docs/system/replay.rst.
func Replays(ctx context.Context, name string) (trouble string, err error) {
	qemu, err := FindQEMU(name)
	if err != nil {
		return "", err
	}
	dir, err := makeRunDir(runBase())
	if err != nil {
		return "", err
	}
	defer dir.remove()
	kernel := filepath.Join(dir.path, "guest")
	if err := os.WriteFile(kernel, testGuest(), 0o600); err != nil {
		return "", infra("try record and replay", err)
	}
	for _, pass := range []string{"record", "replay"} {
		r := Recording{Log: filepath.Join(dir.path, "rr"), Play: pass == "replay"}
		argv := []string{qemu, "-machine", "q35", "-accel", "tcg", "-icount", r.icount(),
			"-m", "32M", "-nodefaults", "-no-user-config", "-display", "none", "-net", "none", "-no-reboot",
			"-kernel", kernel, "-device", "isa-debug-exit,iobase=0xf4,iosize=4"}
		proc, err := startProcess(qemu, argv)
		if err != nil {
			return "", infra("try record and replay: "+qemu, err)
		}
		trouble, err := proc.passes(ctx)
		if err != nil {
			return "", err
		}
		if trouble != "" {
			return pass + ": " + trouble, nil
		}
	}
	return "", nil
}

// passes waits for the test guest's own end.
func (p *process) passes(ctx context.Context) (trouble string, err error) {
	defer p.kill()
	t := time.NewTimer(replayDeadline)
	defer t.Stop()
	select {
	case <-p.done:
	case <-t.C:
		return fmt.Sprintf("a test guest did not end in %s", replayDeadline), nil
	case <-ctx.Done():
		return "", fmt.Errorf("try record and replay: %w", context.Cause(ctx))
	}
	if p.state.ExitCode() == testGuestExit {
		return "", nil
	}
	if line := firstComplaint(p.out.String()); line != "" {
		return line, nil
	}
	return "qemu ended with " + p.state.String(), nil
}
