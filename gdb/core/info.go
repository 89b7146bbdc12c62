package core

import (
	"fmt"
	"strings"

	"kcatch/gdb/guest"
	"kcatch/gdb/kernel"
)

// infoSymbols are those that crash and drgn look up before they have symbols of their own (kernel/crash_core.c).
var infoSymbols = []string{"init_uts_ns", "node_online_map", "swapper_pg_dir", "_stext", "vmap_area_list", "mem_section", "init_top_pgt", "contig_page_data"}

// Info makes the VMCOREINFO note's text of a kernel at a place. Addresses are run-time ones, as the kernel's own note has
// them; la57 says that five-level page tables are on.
//
// In arch/x86 init_top_pgt and swapper_pg_dir are one table (asm/pgtable_64.h), and only the first is a symbol.
func Info(k *kernel.Kernel, p guest.Placement, la57 bool) []byte {
	var b strings.Builder
	fmt.Fprintf(&b, "OSRELEASE=%s\n", k.Release())
	if id := k.BuildID(); id != "" {
		fmt.Fprintf(&b, "BUILD-ID=%s\n", id)
	}
	b.WriteString("PAGESIZE=4096\n")
	at := k.Lookup(infoSymbols...)
	for _, name := range infoSymbols {
		s, ok := at[name]
		if name == "swapper_pg_dir" && !ok {
			s, ok = at["init_top_pgt"]
		}
		if ok {
			fmt.Fprintf(&b, "SYMBOL(%s)=%x\n", name, p.Run(uint64(s.Addr)))
		}
	}
	levels := 0
	if la57 {
		levels = 1
	}
	fmt.Fprintf(&b, "NUMBER(phys_base)=%d\nNUMBER(pgtable_l5_enabled)=%d\nKERNELOFFSET=%x\nNUMBER(KERNEL_IMAGE_SIZE)=%d\n",
		p.PhysBase, levels, p.Slide, 1<<30)
	return []byte(b.String())
}
