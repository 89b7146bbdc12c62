package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// script is what people write for "git bisect run": build in one object tree, boot, look on the console for the end of the kernel's own
// start. A death before there is a console takes its whole timeout, which is generous for TCG on a busy host.
const script = `#!/bin/sh
make -s -C . O=%[1]s/obj -j%[2]d bzImage >%[1]s/make.log 2>&1 || exit 125
timeout 60 qemu-system-x86_64 -machine q35 -accel tcg -m 256M -display none -no-reboot -serial file:%[1]s/console.log \
	-kernel %[1]s/obj/arch/x86/boot/bzImage -append 'console=ttyS0 panic=-1' </dev/null >/dev/null 2>&1
grep -q 'Freeing unused kernel image' %[1]s/console.log
`

var firstBad = regexp.MustCompile(`(?m)^([0-9a-f]{40}) is the first bad commit$`)

// compare has git find the commit with a shell script, from an empty object tree, and says how long that took and what came out.
func compare(ctx context.Context, dir, repo, planted string, jobs int) error {
	work := filepath.Join(dir, "plain")
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	list, err := filepath.Glob(filepath.Join(dir, "cache", "kcatch", "builds", "*", "config"))
	if err != nil || len(list) == 0 {
		return errors.Join(err, errors.New("no configuration of a build"))
	}
	config, err := os.ReadFile(list[0])
	if err != nil {
		return err
	}
	git := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", args...)
		cmd.Dir = dir
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // git leaves the script, its make and QEMU running when it is killed
		cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGTERM) }
		out, err := cmd.CombinedOutput()
		if err != nil {
			err = fmt.Errorf("git %s: %w\n%s", strings.Join(args, " "), err, out)
		}
		return string(out), err
	}
	tree := filepath.Join(work, "linux")
	if _, err := git("clone", "-q", "--shared", repo, tree); err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Join(work, "obj"), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(work, "obj", ".config"), config, 0o644); err != nil {
		return err
	}
	file := filepath.Join(work, "run.sh")
	if err := os.WriteFile(file, fmt.Appendf(nil, script, work, jobs), 0o755); err != nil {
		return err
	}
	begin := time.Now()
	if _, err := git("-C", tree, "bisect", "start", "bad", "good"); err != nil {
		return err
	}
	out, err := git("-C", tree, "bisect", "run", file)
	if err != nil && !strings.Contains(out, "first bad commit could be any of") {
		return err
	}
	found := "no single commit"
	if m := firstBad.FindStringSubmatch(out); m != nil {
		found = m[1]
	}
	right := "right"
	if found != planted {
		right = "wrong"
	}
	steps := strings.Count(out, "running ")
	fmt.Printf("git bisect run with a script that greps the console: %s (%s) in %s, %d steps\n", found, right, time.Since(begin).Round(time.Second), steps)
	return nil
}
