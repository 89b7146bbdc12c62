package main

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"kcatch/gdb/vmlinux"
	"kcatch/internal/fixtures"
)

// consoleBytes is the size of the log; one line of a hundred is of a call trace, each of another function.
const consoleBytes = 10e6

// console: a goal of 10 MB/s through "kcatch symbolize", its start and the lines of some 750 functions included.
func (b *bench) console(ctx context.Context) error {
	for _, k := range []fixtures.Kernel{b.seed, b.cloud} {
		log, places, err := consoleLog(k.Vmlinux)
		if err != nil {
			return err
		}
		name := filepath.Join(b.dir, "console.log")
		if err := os.WriteFile(name, log, 0o600); err != nil {
			return err
		}
		var took, peak series
		for i := range b.n + 1 {
			r, located, err := b.filterConsole(ctx, k.Vmlinux, name)
			if err != nil {
				return err
			}
			if located < places*9/10 {
				return fmt.Errorf("symbolize: %d of %d places have a line", located, places)
			}
			if i > 0 {
				took, peak = append(took, r.took), append(peak, r.peak)
			}
		}
		label := fmt.Sprintf("console: %.0f MB of text, %d places, %s", consoleBytes/1e6, places, k.Name)
		b.table.add(label, "ms", took)
		b.table.add("  its peak memory", "MB", peak)
		b.table.want(label+": 10 MB/s", took, consoleBytes/10e6*1000, "ms")
	}
	return nil
}

// filterCost is what one run takes: milliseconds, and MB.
type filterCost struct{ took, peak float64 }

// filterConsole runs kcatch symbolize on a log, and counts the places that got a line.
func (b *bench) filterConsole(ctx context.Context, vmlinux, log string) (filterCost, int, error) {
	in, err := os.Open(log)
	if err != nil {
		return filterCost{}, 0, err
	}
	defer in.Close()
	ctx, cancel := context.WithTimeout(ctx, runTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, b.kcatch, "symbolize", "--vmlinux", vmlinux)
	var out, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &stderr
	begin := time.Now()
	if err := cmd.Run(); err != nil {
		return filterCost{}, 0, fmt.Errorf("kcatch symbolize: %w\n%s", err, stderr.Bytes())
	}
	cost := filterCost{took: ms(time.Since(begin))}
	if u, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		cost.peak = float64(u.Maxrss) / 1024
	}
	return cost, bytes.Count(out.Bytes(), []byte(")\n")) - bytes.Count(out.Bytes(), []byte(" (inlined)\n")), nil
}

// consoleLog is a log with call traces of functions all over a kernel; always the same one.
func consoleLog(path string) (log []byte, places int, err error) {
	f, err := vmlinux.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	start, end, ok := f.Text()
	if !ok {
		return nil, 0, fmt.Errorf("%s: no text", path)
	}
	r := rand.New(rand.NewPCG(3, 4))
	var b bytes.Buffer
	fmt.Fprintf(&b, "[    0.000000] Linux version %s (x)\n", f.Release())
	for i := 1; b.Len() < consoleBytes; i++ {
		if i%100 != 0 {
			fmt.Fprintf(&b, "[%5d.%06d] pci 0000:00:%02x.0: reg 0x10: [mem 0xfebc0000-0xfebdffff pref]: BAR 6: assigned\n", i/100, i, i%32)
			continue
		}
		s, ok := f.SymbolAt(start + vmlinux.Addr(r.Uint64N(uint64(end-start))))
		all := f.Functions(s.Name)
		if !ok || len(all) != 1 || s.Size < 2 {
			continue
		}
		fmt.Fprintf(&b, "[%5d.%06d]  %s+0x%x/0x%x\n", i/100, i, s.Name, 1+r.Uint64N(s.Size-1), all[0].Span)
		places++
	}
	return b.Bytes(), places, nil
}
