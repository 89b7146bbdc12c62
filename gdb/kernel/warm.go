package kernel

import (
	"sync"
	"sync/atomic"
)

// usual are the names that a boot asks for, here and in guest, unwind, linux, watch and autopsy. They are looked up in one
// pass over the symbol table; a name that is missing in this list costs a pass of its own, no more.
var usual = []string{
	"_text", "_etext", "_end", "phys_base", "level2_kernel_pgt", "linux_banner", "page_offset_base", "idt_table",
	"prb", "printk_rb_static", "printk_rb_dynamic", "sys_call_table", "__x64_sys_read", "sys_read",
	"initial_code", "x86_64_start_kernel", "start_secondary", "system_state", "console_drivers", "console_list",
	"__start___bug_table", "__stop___bug_table", "find_bug", "prb_read_valid",
	"panic", "start_kernel", "do_early_exception", "early_fixup_exception", "oops_begin", "__warn", "jiffies_64", "saved_command_line", "init_stack", "init_thread_union", "boot_command_line",
}

// ends are functions at the ends of most chains, one per source file: where exceptions come in, where the kernel gives
// up, and what the boot is called from. Names that a kernel does not have are passed over.
var ends = []string{
	"early_fixup_exception", "early_idt_handler_common", "do_early_exception", // extable.c, head_64.S, head64.c
	"start_kernel", "setup_arch", "free_area_init", "zone_sizes_init", // main.c, setup.c, page_alloc.c or mm_init.c, init.c
	"panic", "oops_end", "exc_invalid_op", "exc_page_fault", "asm_exc_page_fault", "report_bug", // panic.c … lib/bug.c
	"ret_from_fork", "kthread",
}

// warming is the background reading of a kernel's tables.
type warming struct {
	stop atomic.Bool
	wg   sync.WaitGroup
}

// Warm reads in the background what every autopsy needs: the indexes by address, the layouts of log and bug table, and
// the compilation units at the ends of most chains. It is for a caller that has a guest to wait for: 15 ms of one
// processor then save most of the time from a death to its chain. Whatever is asked for meanwhile is right, warm or not.
func (k *Kernel) Warm() {
	k.warm.wg.Go(func() {
		at := k.Lookup(ends...)
		_, _ = k.ORC()                             // its error is given again to whoever asks
		_, _ = k.FrameRow(at["start_kernel"].Addr) // indexes .debug_frame, 5 ms: values need it
		k.bugs()
		k.ring()
		for _, name := range ends {
			if s, ok := at[name]; ok && !k.warm.stop.Load() {
				_, _ = k.Locate(s.Addr)
			}
		}
	})
}

// Close ends the warming, if it is under way, and closes the file.
func (k *Kernel) Close() error {
	k.warm.stop.Store(true)
	k.warm.wg.Wait()
	return k.File.Close()
}
