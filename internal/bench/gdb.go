package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// gdb does by hand what kcatch does, on the same kernel by the same way in. The breakpoint by name is why the kernel must
// be at its link address.
func (b *bench) gdb(ctx context.Context) error {
	if _, err := exec.LookPath("gdb"); err != nil {
		b.table.note("gdb is not installed: no comparison with it")
		return nil
	}
	var gdb, kcatch series
	frames := 0
	for i := range b.n + 1 {
		d, n, err := b.gdbBacktrace(ctx)
		if err != nil {
			return err
		}
		r, err := b.kcatchBoot(ctx, false, "--vmlinux", b.seed.Vmlinux, "--append", "nokaslr")
		if err != nil {
			return err
		}
		if frames = n; i > 0 {
			gdb, kcatch = append(gdb, ms(d)), append(kcatch, ms(r.verdict))
		}
	}
	b.table.add("PVH, nokaslr: gdb -batch hbreak, c, bt", "ms", gdb)
	b.table.add("PVH, nokaslr: kcatch to the verdict", "ms", kcatch)
	b.table.diff("PVH, nokaslr: gdb - kcatch, by pairs", gdb.minus(kcatch))
	b.table.note("gdb's backtrace has %d frames and ends on the near side of the exception", frames)
	return nil
}

// gdbBacktrace returns the time from QEMU's start to gdb's end, and the frames it found.
func (b *bench) gdbBacktrace(ctx context.Context) (time.Duration, int, error) {
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	socket := filepath.Join(b.dir, "g")
	_ = os.Remove(socket)
	argv := b.spec(b.seed.Vmlinux, "nokaslr", "-S", "-gdb", "unix:"+socket+",server=on,wait=off").Argv()
	machine := exec.CommandContext(ctx, argv[0], argv[1:]...)
	debugger := exec.CommandContext(ctx, "gdb", "-nx", "-batch",
		"-ex", "shell until [ -S "+socket+" ]; do sleep 0.005; done", // gdb has read the symbols by now
		"-ex", "target remote "+socket, "-ex", "hbreak early_fixup_exception", "-ex", "continue", "-ex", "bt",
		b.seed.Vmlinux)
	begin := time.Now()
	if err := machine.Start(); err != nil {
		return 0, 0, err
	}
	defer func() {
		_ = machine.Process.Kill()
		_ = machine.Wait()
	}()
	out, err := debugger.CombinedOutput()
	took := time.Since(begin)
	frames := strings.Count(string(out), "\n#")
	if err != nil || frames == 0 || !strings.Contains(string(out), "early_fixup_exception (regs") {
		return 0, 0, fmt.Errorf("gdb gave no backtrace: %w\n%s", err, out)
	}
	return took, frames, nil
}
