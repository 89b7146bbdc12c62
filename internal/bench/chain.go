package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

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

// printChain is the child: it opens a vmlinux and prints where the addresses of the chain are. A function that the
// kernel has only inlined stands for start_kernel. The last line is the peak of this process's memory in kB.
func printChain(w io.Writer, path string) error {
	f, err := vmlinux.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
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
	kb, _ := hwm("/proc/self/status")
	fmt.Fprintf(out, "peak %.0f\n", kb)
	return out.Flush()
}

// open: goals 60 ms and 100 MB.
func (b *bench) open(ctx context.Context) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	var wall, peak series
	for i := range b.n + 1 {
		runCtx, cancel := context.WithTimeout(ctx, runTimeout)
		begin := time.Now()
		out, err := exec.CommandContext(runCtx, self, chainFlag, b.cloud.Vmlinux).Output()
		took := time.Since(begin)
		cancel()
		if err != nil {
			return fmt.Errorf("chain: %w", err)
		}
		var kb float64
		_, last, ok := strings.Cut(string(out), "\npeak ")
		if _, err := fmt.Sscan(last, &kb); !ok || err != nil {
			return fmt.Errorf("chain: no peak in its output: %q", out)
		}
		if i > 0 {
			wall, peak = append(wall, ms(took)), append(peak, kb/1024)
		}
	}
	st, err := os.Stat(b.cloud.Vmlinux)
	if err != nil {
		return err
	}
	b.table.add(fmt.Sprintf("open a vmlinux of %d MB, print one chain", st.Size()/1e6), "ms", wall)
	b.table.add("  its peak memory", "MB", peak)
	b.table.want("open and chain: whole cold process", wall, 60, "ms")
	b.table.want("open and chain: peak memory", peak, 100, "MB")
	return nil
}
