// Package debuginfo finds what this machine has of a kernel's debug information, and asks it.
//
// What it does. [Search.Vmlinux] finds the vmlinux of a kernel by its release or build id, where distributions, a build and
// debuginfod's client put it; [ModuleDirs] says where the modules of one are. [Kernel] is a vmlinux with the modules around it: it
// answers gdb/trace for a console's text.
//
// A file is used only if it is of the kernel that was asked for: by build id where both have one, by the release in its
// banner (vermagic, of a module) else. What of that does not tell two builds of one release apart, the sizes of the functions
// do: "f+0x10/0x20" is looked for with its size.
//
// What it does not do: it downloads nothing, and reads no environment; the directories come from you.
//
// Layouts: Debian's linux-image-RELEASE-dbg (/usr/lib/debug/boot, /usr/lib/debug/lib/modules), Fedora's kernel-debuginfo
// (/usr/lib/debug/lib/modules/RELEASE/vmlinux), make modules_install (/lib/modules/RELEASE/build), gdb's .build-id directories,
// and debuginfod_find_debuginfo(3)'s cache (BUILDID/debuginfo).
package debuginfo
