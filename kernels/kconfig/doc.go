// Package kconfig reads and writes kernel configurations and says why a requested option did not take.
//
// What it does: [Parse] reads a .config or a fragment, [Merge] puts fragments on a base, [Config.Render] writes the
// result for olddefconfig, and [Check] compares what was asked for with what olddefconfig made of it. Kconfig drops an
// option whose dependency is off without a word; Check names the option, the dependency that blocks it and, one level
// further, what that dependency waits for:
//
//	SWAP: wanted y, got n: depends on BLOCK, which is n; BLOCK can be turned on: CONFIG_BLOCK=y
//
// What it needs from you: the kernel tree as an [io/fs.FS] (os.DirFS), and the .config after olddefconfig. The tree's
// Kconfig files are read only when something did not take.
//
// What it does not do: it is no replacement for scripts/kconfig. It never computes a configuration; it evaluates
// dependencies over a finished one. Macros that ask the compiler or a shell ($(cc-option,...), $(shell,...)) have an
// unknown value and are named as such. Only ARCH=x86 is substituted.
//
// Spec: Documentation/kbuild/kconfig-language.rst and kconfig-macro-language.rst of the kernel; .config lines as
// scripts/kconfig/confdata.c (conf_read_simple) takes them.
package kconfig
