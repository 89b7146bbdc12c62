package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"kcatch/gdb/kernel"
	"kcatch/gdb/vmlinux"
)

// chain is the stack of a kernel that dies in free_area_init, with neighbours, as {function, offset}: 15 addresses in
// 13 compilation units.
var chain = []struct {
	function string
	offset   vmlinux.Addr
}{
	{"native_halt", 0}, {"early_fixup_exception", 0x60}, {"do_early_exception", 0x20}, {"early_idt_handler_common", 0x40},
	{"free_area_init", 0x300}, {"zone_sizes_init", 0x60}, {"setup_arch", 0x600}, {"start_kernel", 0x60},
	{"secondary_startup_64_no_verify", 0x80}, {"vprintk_emit", 0x60}, {"schedule", 0x30}, {"kthread", 0x90},
	{"do_syscall_64", 0x20}, {"vfs_read", 0x60}, {"panic", 0x100},
}

// printChain is the child: it opens a vmlinux and prints where the addresses of the chain are. The last line is the peak of this
// process's memory in kB.
func printChain(w io.Writer, path string) error {
	f, err := vmlinux.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := writeChain(w, f); err != nil {
		return err
	}
	kb, _ := hwm("/proc/self/status")
	_, err = fmt.Fprintf(w, "peak %.0f\n", kb)
	return err
}

// printWarmChain is printChain as a boot has it: the file is opened, and what every death needs is read, while the guest boots. The
// last line is the milliseconds from then to the printed chain.
func printWarmChain(w io.Writer, path string) error {
	const boot = 200 * time.Millisecond // a small kernel's; the warming takes 15 ms
	k, err := kernel.Open(path)
	if err != nil {
		return err
	}
	defer k.Close()
	k.Warm()
	time.Sleep(boot)
	stopped := time.Now()
	if err := writeChain(w, k.File); err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "took %.3f\n", ms(time.Since(stopped)))
	return err
}

// writeChain writes where the addresses of the chain are. A function that the kernel has only inlined stands for start_kernel.
func writeChain(w io.Writer, f *vmlinux.File) error {
	names := make([]string, len(chain))
	for i, c := range chain {
		names[i] = c.function
	}
	symbols := f.Lookup(names...)
	out := bufio.NewWriter(w)
	for _, c := range chain {
		s, ok := symbols[c.function]
		if !ok {
			s = symbols["start_kernel"]
		}
		at := s.Addr + c.offset
		if s.Size > 0 && c.offset >= vmlinux.Addr(s.Size) {
			at = s.Addr + vmlinux.Addr(s.Size)/2
		}
		sym, _ := f.SymbolAt(at)
		locations, err := f.Locate(at)
		if err != nil {
			return err
		}
		for _, l := range locations {
			fmt.Fprintf(out, "%x %s+0x%x %s %s:%d\n", uint64(at), sym.Name, uint64(at-sym.Addr), l.Function, l.File, l.Line)
		}
	}
	return out.Flush()
}

// open: goals 60 ms and 100 MB, and with vmlinux open already 5 ms on the small kernel and 20 ms on Debian's.
func (b *bench) open(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	for _, k := range []struct {
		vmlinux string
		goal    float64
	}{{b.seed.Vmlinux, 5}, {b.cloud.Vmlinux, 20}} {
		var wall, inside, peak series
		for i := range b.n + 1 {
			r, err := timed(ctx, []string{self, chainFlag, k.vmlinux}, "")
			if err != nil {
				return fmt.Errorf("chain: %w", err)
			}
			warm, err := timed(ctx, []string{self, warmChainFlag, k.vmlinux}, "")
			if err != nil {
				return fmt.Errorf("chain: %w", err)
			}
			var took, kb float64
			_, last, _ := strings.Cut(string(r.out), "\npeak ")
			if _, err := fmt.Sscan(last, &kb); err != nil {
				return fmt.Errorf("chain: no peak in its output: %q", r.out)
			}
			_, last, _ = strings.Cut(string(warm.out), "\ntook ")
			if _, err := fmt.Sscan(last, &took); err != nil {
				return fmt.Errorf("chain: no time in its output: %q", warm.out)
			}
			if i > 0 {
				wall, inside, peak = append(wall, r.ms), append(inside, took), append(peak, kb/1024)
			}
		}
		st, err := os.Stat(k.vmlinux)
		if err != nil {
			return err
		}
		label := fmt.Sprintf("open a vmlinux of %d MB, print one chain", st.Size()/1e6)
		b.table.add(label, "ms", wall)
		b.table.add("  the chain alone, vmlinux opened while the guest booted", "ms", inside)
		b.table.add("  its peak memory", "MB", peak)
		b.table.want(label+": the chain alone", inside, k.goal, "ms")
		if k.vmlinux == b.cloud.Vmlinux {
			b.table.want("open and chain: whole cold process", wall, 60, "ms")
			b.table.want("open and chain: peak memory", peak, 100, "MB")
		}
	}
	return nil
}
