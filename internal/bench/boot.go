package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// boot is one run of kcatch.
type boot struct {
	verdict time.Duration // from exec to the first line on standard output
	exit    time.Duration // from exec to the end of the process
	examine float64       // ms from the stop to the finished result, by the result's own timing
	peak    float64       // MB, if it was asked for
}

// kcatchBoot runs kcatch on the seed's kernel, with args to name it. watchMemory looks at the process while it runs,
// which costs it a little time.
func (b *bench) kcatchBoot(ctx context.Context, watchMemory bool, args ...string) (boot, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	out := filepath.Join(b.dir, "out")
	cmd := exec.CommandContext(ctx, b.kcatch, append([]string{"boot", "--quiet", "--accel", "tcg", "--out", out}, args...)...)
	var talk strings.Builder
	cmd.Stderr = &talk
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return boot{}, err
	}
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return boot{}, err
	}
	done, peak := make(chan struct{}), make(chan float64, 1)
	if watchMemory {
		go func() { peak <- peakOf(cmd.Process.Pid, done) }()
	}
	var r boot
	in := bufio.NewReader(pipe)
	line, err := in.ReadString('\n')
	r.verdict = time.Since(begin)
	_, _ = io.Copy(io.Discard, in)
	_ = cmd.Wait() // a bad kernel is exit code 1
	r.exit = time.Since(begin)
	close(done)
	if err != nil || !strings.HasPrefix(line, "BAD") || !strings.Contains(line, "__SetPageReserved") {
		return boot{}, fmt.Errorf("kcatch %s: exit code %d, and this for a verdict: %q %s",
			strings.Join(args, " "), cmd.ProcessState.ExitCode(), line, talk.String())
	}
	if watchMemory {
		r.peak = <-peak
	}
	r.examine, err = examineTime(filepath.Join(out, "result.json"))
	return r, err
}

func examineTime(path string) (float64, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, err
	}
	var result struct {
		Timing struct {
			Examine float64 `json:"examine"`
		} `json:"timing"`
	}
	err = json.Unmarshal(data, &result)
	return 1000 * result.Timing.Examine, err
}

// peakOf is the largest resident set that a process has had when it was last seen, in MB, mapped files included. It
// is not taken from the process's rusage, because that is the maximum over its children too: QEMU's.
func peakOf(pid int, done <-chan struct{}) float64 {
	peak := 0.0
	for {
		if kb, ok := hwm(fmt.Sprintf("/proc/%d/status", pid)); ok {
			peak = max(peak, kb/1024)
		}
		select {
		case <-done:
			return peak
		case <-time.After(time.Millisecond):
		}
	}
}

// hwm is VmHWM of a status file, in kB (proc_pid_status(5)).
func hwm(path string) (kb float64, ok bool) {
	data, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	_, rest, ok := strings.Cut(string(data), "VmHWM:")
	if !ok {
		return 0, false
	}
	_, err = fmt.Sscan(rest, &kb)
	return kb, err == nil
}

// bzImage: goal 150 ms over bare QEMU.
func (b *bench) bzImage(ctx context.Context) error {
	return b.beside(ctx, "bzImage, KASLR", b.seed.BzImage, []string{"--kernel", b.seed.BzImage, "--vmlinux", b.seed.Vmlinux},
		func(verdict, over, examine series) {
			b.table.want("bzImage: verdict after bare QEMU's halt", over, 150, "ms")
			b.table.want("bzImage: from the stop to the result", examine, 5, "ms")
		})
}

// pvh: goal half a second.
func (b *bench) pvh(ctx context.Context) error {
	return b.beside(ctx, "PVH", b.seed.Vmlinux, []string{"--vmlinux", b.seed.Vmlinux}, func(verdict, over, examine series) {
		b.table.want("PVH: start to verdict", verdict, 500, "ms")
	})
}

// beside measures bare QEMU and kcatch in turn.
func (b *bench) beside(ctx context.Context, label, kernel string, args []string, goals func(verdict, over, examine series)) error {
	var bare, verdict, exit, examine series
	for i := range b.n + 1 {
		d, err := b.bare(ctx, kernel)
		if err != nil {
			return fmt.Errorf("bare QEMU: %w", err)
		}
		r, err := b.kcatchBoot(ctx, false, args...)
		if err != nil {
			return err
		}
		if i > 0 {
			bare, verdict, exit, examine = append(bare, ms(d)), append(verdict, ms(r.verdict)), append(exit, ms(r.exit)), append(examine, r.examine)
		}
	}
	over := verdict.minus(bare)
	b.table.add(label+": bare QEMU to the halt", "ms", bare)
	b.table.add(label+": kcatch to the verdict", "ms", verdict)
	b.table.add(label+": kcatch to its exit", "ms", exit)
	b.table.diff(label+": verdict - bare, by pairs", over)
	b.table.add(label+": of it, stop to result", "ms", examine)
	goals(verdict, over, examine)
	return nil
}

// memory: goal 150 MB.
func (b *bench) memory(ctx context.Context) error {
	for _, kind := range []struct {
		label string
		args  []string
	}{
		{"bzImage, KASLR", []string{"--kernel", b.seed.BzImage, "--vmlinux", b.seed.Vmlinux}},
		{"PVH", []string{"--vmlinux", b.seed.Vmlinux}},
	} {
		var peak series
		for range (b.n + 1) / 2 {
			r, err := b.kcatchBoot(ctx, true, kind.args...)
			if err != nil {
				return err
			}
			peak = append(peak, r.peak)
		}
		b.table.add(kind.label+": kcatch's own peak memory", "MB", peak)
		b.table.want(kind.label+": kcatch's own peak memory", peak, 150, "MB")
	}
	return nil
}

func ms(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
