package main

import (
	"embed"

	"kcatch/internal/fixtures"
	"kcatch/kernels"
)

// fragments are the configurations that only the matrix needs.
//
//go:embed *.config
var fragments embed.FS

// cell is one combination. Zero values are kcatch's own defaults.
type cell struct {
	name    string
	fixture string
	build   *kernels.Request // in place of a fixture; the tree is debian-6.1 unless it says otherwise

	objcopy string // what is done to the vmlinux
	alone   bool   // no vmlinux is given
	pvh     bool   // no bzImage is given

	machine string
	memory  uint64
	cpus    int
	append  string
	qemu    []string

	good    bool // must reach init; otherwise it is the seed's death
	reduced bool // no lines: the cause is the function that owns the code
}

func seed(config ...string) *kernels.Request {
	return &kernels.Request{Patches: []string{"pgflags-refcount"}, Fragments: config}
}

var la57 = []string{"-cpu", "max,la57=on"}

// cells is the matrix; docs/support.md has its results. Those that need no kernel of their own come first.
var cells = []cell{
	{name: "vmlinux/whole", fixture: fixtures.Seed61},
	{name: "vmlinux/whole-6.12", fixture: fixtures.Seed612},
	{name: "vmlinux/zlib-objcopy", fixture: fixtures.Seed61, objcopy: "--compress-debug-sections=zlib"},
	{name: "vmlinux/zstd-objcopy", fixture: fixtures.Seed61, objcopy: "--compress-debug-sections=zstd"},
	{name: "vmlinux/no-rela", fixture: fixtures.Seed61, objcopy: "--remove-section=.rela.*"},
	{name: "vmlinux/no-aranges", fixture: fixtures.Seed61, objcopy: "--remove-section=.debug_aranges"}, // clang writes none
	{name: "vmlinux/symtab-only", fixture: fixtures.Seed61, objcopy: "-g", reduced: true},
	{name: "vmlinux/stripped", fixture: fixtures.Seed61, objcopy: "-S", reduced: true},
	{name: "vmlinux/none", fixture: fixtures.Seed61, alone: true, reduced: true},
	{name: "vmlinux/none-6.12", fixture: fixtures.Seed612, alone: true, reduced: true},

	{name: "machine/pc", fixture: fixtures.Seed61, machine: "pc"},
	{name: "machine/microvm", fixture: fixtures.Seed61, machine: "microvm"},
	{name: "machine/smp-4", fixture: fixtures.Seed61, cpus: 4},
	{name: "machine/nokaslr", fixture: fixtures.Seed61, append: "nokaslr"},
	{name: "machine/pvh", fixture: fixtures.Seed61, pvh: true},
	{name: "machine/q35-32G", fixture: fixtures.Seed61, memory: 32 << 30},
	{name: "machine/pc-32G", fixture: fixtures.Seed61, machine: "pc", memory: 32 << 30},
	{name: "machine/microvm-32G", fixture: fixtures.Seed61, machine: "microvm", memory: 32 << 30},

	{name: "good/q35", fixture: fixtures.Good61, good: true},
	{name: "good/q35-6.12", fixture: fixtures.Good612, good: true},
	{name: "good/pc", fixture: fixtures.Good612, machine: "pc", good: true},
	{name: "good/microvm", fixture: fixtures.Good612, machine: "microvm", good: true},
	{name: "good/smp-4", fixture: fixtures.Good612, cpus: 4, good: true},
	{name: "good/q35-32G", fixture: fixtures.Good612, memory: 32 << 30, good: true},
	{name: "good/microvm-32G", fixture: fixtures.Good612, machine: "microvm", memory: 32 << 30, good: true},
	{name: "good/5-level-6.1", fixture: fixtures.Cloud61, qemu: la57, good: true},
	{name: "good/5-level-6.12", fixture: fixtures.Cloud612, qemu: la57, good: true},
	{name: "good/none", fixture: fixtures.Good61, alone: true, good: true},
	{name: "good/debian-6.1", fixture: fixtures.Cloud61, good: true},
	{name: "good/debian-6.12", fixture: fixtures.Cloud612, good: true},
	{name: "good/debian-6.1-none", fixture: fixtures.Cloud61, alone: true, good: true},

	{name: "build/frame-pointer", build: seed("frame-pointer")},
	{name: "build/frame-pointer-none", build: seed("frame-pointer"), alone: true, reduced: true},
	{name: "build/kallsyms-functions", build: seed("kallsyms"), alone: true, reduced: true},
	{name: "build/clang", build: &kernels.Request{Patches: []string{"pgflags-refcount"}, Make: []string{"LLVM=1"}}},
	{name: "build/5-level", build: seed("la57"), qemu: la57},
	{name: "build/5-level-32G", build: seed("la57"), qemu: la57, memory: 32 << 30},
	{name: "build/5-level-off", build: seed("la57")},
	{name: "build/5-level-none", build: seed("la57"), qemu: la57, alone: true, reduced: true},
	{name: "build/zlib", build: seed("zlib")},
	{name: "build/reduced", build: seed("reduced")},
	{name: "build/dwarf4", build: seed("dwarf4")},
	{name: "build/no-debug-info", build: seed("nodebug"), reduced: true},
}
