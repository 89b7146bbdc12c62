// Package ko reads the files of kernel modules: x.ko, and x.ko.xz, x.ko.zst and x.ko.gz.
//
// What it does. [Find] lists the module files below a directory; [Read] gives a file's ELF bytes, unpacked; [InfoOf] says
// what the module says of itself in .modinfo; [Strip] leaves out its debug information.
//
// What it needs from you: nothing of the host's kmod tools. What it does not do: it loads nothing and resolves no symbol.
//
// Formats: ELF; .modinfo is a list of NUL-terminated "key=value" (include/linux/moduleparam.h, __MODULE_INFO).
package ko
