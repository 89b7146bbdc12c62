// Package trace reads the text of a kernel's console and finds the code that it speaks of.
//
// A kernel that reports an oops, a warning, a lock held twice or a stalled CPU writes places of its code in a few forms:
//
//	[    1.234567] RIP: 0010:rb_erase+0x1a/0x130                                  where it is: exact
//	[    1.234567][   T42]  ? nft_do_chain+0x2b1/0x5d0 [nf_tables]                a return address, and only a guess
//	[    1.234567] Call Trace: [<ffffffff8107d4e6>] ? warn_slowpath+0x16/0x20     before 4.12, with the address
//	[    0.000000] PANIC: early exception 0x06 IP 10:ffffffff8165b0c0 error 0 cr2 0x0
//	[    1.234567] Kernel Offset: 0x1a000000 from 0xffffffff81000000 (relocation range: ...)
//
// What it does. [Find] says what places there are in a line, [Read] which kernel a line says it is from and where KASLR put it;
// both are pure. [Filter] copies a text, line by line, and adds to each place what an answer of yours ([Symbols]) knows of it:
//
//	[    1.234567]            __rb_change_child (include/linux/rbtree_augmented.h:199) (inlined)
//	[    1.234567] RIP: 0010:rb_erase+0x1a/0x130 (lib/rbtree.c:443)
//
// The functions that are inlined stand on lines of their own, before the function whose code it is, as they would in a call trace.
// Nothing else is changed: taking out what was added gives the text back, byte for byte. What is before a name (who printed it,
// when, on which CPU) does not matter, and several CPUs may print at a time: a line is read by itself.
//
// Two things are not in the line: whose kernel it is, and how far KASLR moved it. Both may come after the first place ("CPU: 0
// PID: 1 Comm: init Not tainted 6.1.0 #1" follows a warning's first line, "Kernel Offset" ends a panic), so lines wait for
// them, a few hundred at most.
//
// What it does not do: it opens no file, and it cleans nothing. The text is hostile: lines, names and what is kept are bounded,
// and what is added has printable characters only; but what was in the text before is still in it.
//
// Formats: Documentation/core-api/printk-formats.rst (%pS, %pB), arch/x86/kernel/dumpstack.c, arch/x86/mm/extable.c,
// kernel/locking/lockdep.c, kernel/printk/printk.c (print_prefix).
package trace
