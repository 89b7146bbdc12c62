// Campaign boots the same kernels hundreds of times on a busy host and counts every verdict: how often a living kernel is
// called dead, a dead one living, or a death by another name. It prints one Markdown table.
//
//	make campaign                                     go run ./internal/campaign -o docs/reliability.md
//	go run ./internal/campaign -good 5 -fault 5       a try of a minute
//	go run ./internal/campaign -only 'double*'        one of the series
//
// It needs "make fixtures" (the kernels good-6.1, seed-6.1 and faults-6.1), QEMU and busybox-static. The whole of it, 300
// boots of the good kernel and 100 of each of five faults, takes about half an hour on two CPUs.
//
// # What is done
//
// One busy loop for each CPU runs all the while, so that every boot has about half of what it would have (-idle leaves them
// out). Each boot is a harness.Boot with the defaults of the command line, under TCG, with KASLR, whose seed is another one
// each time. It must give the verdict, the class and the cause that its series expects; anything else is counted by what it
// is:
//
//	false death    the kernel lives, and is called bad
//	missed death   the kernel is dead, and is called good
//	wrong name     the kernel is dead, and of another class or function
//	no verdict     an error of our own world
//
// After each boot nothing may be left: no child process, no run directory (it has a directory for temporary files of its
// own). At the end of a series there may not be more open files and goroutines than after its first boot.
//
// The time is that of the whole call: initramfs, QEMU's start, the boot, the verdict, the artifacts with the core of a
// death, QEMU's end. What is not as expected keeps its artifacts (-keep), the others do not.
//
// The exit code is 0 when there was none of these, 1 otherwise. Ctrl-C ends it with what was counted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// spinFlag makes this program a busy loop.
const spinFlag = "-spin"

// spun is what the loop writes, so that it is one.
var spun atomic.Uint64

type options struct {
	good, fault int
	only        string
	keep        string
	out         string
	idle        bool
}

func main() {
	if len(os.Args) == 2 && os.Args[1] == spinFlag {
		for {
			spun.Add(1)
		}
	}
	var o options
	flag.IntVar(&o.good, "good", 300, "boots of the good kernel")
	flag.IntVar(&o.fault, "fault", 100, "boots of each fault")
	flag.StringVar(&o.only, "only", "*", "the series to run, a `glob`")
	flag.StringVar(&o.keep, "keep", "", "a `directory` for the artifacts of what is not as expected (default a new one, removed when empty)")
	flag.StringVar(&o.out, "o", "", "a Markdown `file` whose part between the campaign's marks is replaced by the table")
	flag.BoolVar(&o.idle, "idle", false, "no busy loops")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	right, err := run(ctx, o)
	if err != nil {
		fmt.Fprintln(os.Stderr, "campaign:", err)
	}
	if err != nil || !right {
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) (right bool, err error) {
	if o.good < 1 || o.fault < 1 || flag.NArg() > 0 {
		return false, errors.New("usage: campaign [-good N] [-fault N] [-only GLOB] [-keep DIR] [-o FILE] [-idle]")
	}
	if _, err := path.Match(o.only, ""); err != nil {
		return false, fmt.Errorf("-only %q: %w", o.only, err)
	}
	all, err := plans(o)
	if err != nil {
		return false, err
	}
	base, err := os.MkdirTemp("", "kn-") // short: sockets lie in it
	if err != nil {
		return false, err
	}
	defer os.RemoveAll(base)
	for name, value := range map[string]string{"TMPDIR": base, "XDG_RUNTIME_DIR": ""} { // run directories are made there
		if err := os.Setenv(name, value); err != nil {
			return false, err
		}
	}
	if o.keep == "" {
		if o.keep, err = os.MkdirTemp(filepath.Dir(base), "kcatch-campaign-"); err != nil {
			return false, err
		}
		defer os.Remove(o.keep) // stays when there is something in it
	}
	if !o.idle {
		for range runtime.NumCPU() {
			if err := spin(ctx); err != nil {
				return false, err
			}
		}
	}
	r := report{begun: time.Now(), cpus: runtime.NumCPU(), idle: o.idle, qemu: version(ctx)}
	for _, s := range all {
		if ok, _ := path.Match(o.only, s.name); ok && ctx.Err() == nil {
			s.run(ctx, base, o.keep)
			r.series = append(r.series, s)
		}
	}
	r.took = time.Since(r.begun)
	text := r.markdown()
	fmt.Print(text)
	if o.out != "" && ctx.Err() == nil {
		if err := replace(o.out, text); err != nil {
			return false, err
		}
	}
	if ctx.Err() != nil {
		return false, errors.New("interrupted")
	}
	if !r.right() {
		fmt.Fprintf(os.Stderr, "campaign: what was not as expected is in %s\n", o.keep)
	}
	return r.right(), nil
}

// spin starts a busy loop that ends with us: this program again, a process of its own, because a goroutine would only take
// its share of ours.
func spin(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	cmd := exec.CommandContext(ctx, self, spinFlag)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started := make(chan error)
	go func() {
		runtime.LockOSThread() // the loop ends with the thread that started it
		started <- cmd.Start()
		_ = cmd.Wait()
	}()
	return <-started
}

func version(ctx context.Context) string {
	out, err := exec.CommandContext(ctx, "qemu-system-x86_64", "--version").Output()
	if err != nil {
		return "QEMU of unknown version"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}
