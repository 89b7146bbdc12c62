package kconfig

import (
	"errors"
	"io/fs"
	"os"
	"strings"
	"testing"
)

func finalConfig(t testing.TB) Config {
	t.Helper()
	b, err := os.ReadFile("testdata/final.config")
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(b))
}

func TestCheck(t *testing.T) {
	final := finalConfig(t)
	tests := []struct {
		name, request, want string // want is the empty string when the request took
	}{
		{"took", "CONFIG_SMP=y", ""},
		{"took as m", "CONFIG_CARD=m", ""},
		{"took as n", "# CONFIG_BLOCK is not set", ""},
		{"n and not there", "CONFIG_NO_SUCH=n", ""},
		{"another spelling of a number", "CONFIG_PHYSICAL_START=0X01000000", ""},

		{"a dependency that can be turned on", "CONFIG_SWAP=y",
			"SWAP: wanted y, got n: depends on BLOCK, which is n; BLOCK can be turned on: CONFIG_BLOCK=y"},
		{"one level further", "CONFIG_ZSWAP=y",
			"ZSWAP: wanted y, got n: depends on SWAP, which is n, and on CRYPTO; SWAP depends on BLOCK, which is n"},
		{"an alternative and a comparison", "CONFIG_ALLOC_CHECK=y",
			"ALLOC_CHECK: wanted y, got n: depends on (ALLOC_SOFT || ALLOC_HARD), where ALLOC_SOFT is n, ALLOC_HARD is n, and on NR_CPUS > 16"},
		{"undefined dependency", "CONFIG_ALLOC_HARD=y",
			"ALLOC_HARD: wanted y, got n: depends on HAVE_ALLOC_TAGS, which is n, and on NO_SUCH_SYMBOL; " +
				"HAVE_ALLOC_TAGS has no prompt; it is selected by X86_64 if X86_TAGS, which is n"},
		{"negation", "CONFIG_X86_32=y",
			"X86_32: wanted y, got n: has no prompt; it is set by its default, which depends on !64BIT, and 64BIT is y"},
		{"visible if of a menu", "CONFIG_CRYPTO=y",
			"CRYPTO: wanted y, got n: can be set by the user only with EXPERT, which is n; EXPERT can be turned on: CONFIG_EXPERT=y"},
		{"undefined", "CONFIG_ODD=y", "ODD: wanted y, got n: depends on ARCH_BOARD, which this tree does not define"},
		{"a choice in force one level further", "CONFIG_ANTI=y",
			"ANTI: wanted y, got n: depends on !UNWINDER_ORC, and UNWINDER_ORC is y; " +
				"UNWINDER_ORC is the choice in force; set another of its members: UNWINDER_FRAME_POINTER"},
		{"another of a choice one level further", "CONFIG_SLAB_INFO=y",
			"SLAB_INFO: wanted y, got n: depends on SLAB, which is n; SLAB: another member of the choice is chosen: SLUB"},
		{"to be turned off one level further", "CONFIG_ANTI_SMP=y",
			"ANTI_SMP: wanted y, got n: depends on !SMP, and SMP is y; SMP can be turned off: # CONFIG_SMP is not set"},
		{"limited to m", "CONFIG_CARD=y",
			"CARD: wanted y, got m: depends on BUS, which is m; BUS can be turned on: CONFIG_BUS=y"},
		{"the nearer of two definitions", "CONFIG_TIMER=y",
			"TIMER: wanted y, got n: depends on BUS = y, where BUS is m"},
		{"the constant m", "CONFIG_SECOND=y", "SECOND: wanted y, got n: depends on m, which is m"},

		{"no prompt, selectors off", "CONFIG_ZPOOL=y",
			"ZPOOL: wanted y, got n: has no prompt; it is selected by ZSWAP, which is n"},
		{"no prompt, nobody selects", "CONFIG_SWAP_BROKEN=y",
			"SWAP_BROKEN: wanted y, got n: has no prompt, and nothing in this tree selects it"},
		{"no prompt, several selectors", "CONFIG_HELPER=y",
			"HELPER: wanted y, got m: has no prompt; it is selected by FIRST and SECOND"},
		{"no prompt, a compiler test", "CONFIG_CC_HAS_MAGIC=y",
			"CC_HAS_MAGIC: wanted y, got n: has no prompt; it is set by its default, which depends on " +
				"$(cc-option,-fmagic=1), which this compiler or build does not give"},
		{"no prompt, a number", "CONFIG_TIMER_RATE=100",
			"TIMER_RATE: wanted 100, got 250: has no prompt; it is set by its defaults, which follow from TIMER_100 and TIMER_250"},
		{"a compiler test one level up", "CONFIG_MAGIC=y",
			"MAGIC: wanted y, got n: depends on CC_HAS_MAGIC, which is n; CC_HAS_MAGIC has no prompt; it is set by its default, " +
				"which depends on $(cc-option,-fmagic=1), which this compiler or build does not give"},
		{"a compiler test", "CONFIG_MAGIC_INLINE=y",
			"MAGIC_INLINE: wanted y, got n: depends on $(cc-option,-fmagic=2), which this compiler or build does not give"},

		{"choice", "CONFIG_SLAB=y", "SLAB: wanted y, got n: another member of the choice is chosen: SLUB"},
		{"the chosen one", "CONFIG_UNWINDER_ORC=n",
			"UNWINDER_ORC: wanted n, got y: is the choice in force; set another of its members: UNWINDER_FRAME_POINTER"},

		{"selected", "CONFIG_HAVE_OBJTOOL=n", "HAVE_OBJTOOL: wanted n, got y: selected by UNWINDER_ORC (which is y)"},
		{"selected as m", "# CONFIG_HELPER is not set", "HELPER: wanted n, got m: selected by FIRST (which is m)"},
		{"on by default, prompt hidden", "CONFIG_PRINTK=n",
			"PRINTK: wanted n, got y: is on by default, and can be turned off only with EXPERT, which is n"},
		{"default, no prompt", "CONFIG_MMU=n", "MMU: wanted n, got y: has no prompt; it is set by its default"},
		{"nothing against it", "CONFIG_SMP=n",
			"SMP: wanted n, got y: nothing in the tree's Kconfig files sets it; was the request in .config before olddefconfig?"},
		{"nothing for it", "CONFIG_HARDENED=y",
			"HARDENED: wanted y, got n: nothing in the tree's Kconfig files forbids it; was it in .config before olddefconfig?"},

		{"range", "CONFIG_NR_CPUS=9000", "NR_CPUS: wanted 9000, got 8: out of range: 2 to 512"},
		{"number hidden", "CONFIG_PHYSICAL_START=0x200000",
			"PHYSICAL_START: wanted 0x200000, got 0x1000000: can be set by the user only with EXPERT, which is n"},
		{"number for a bool", "CONFIG_SMP=2", "SMP: wanted 2, got y: is a bool: its value is y or n"},
		{"m for a bool", "CONFIG_SMP=m", "SMP: wanted m, got y: is a bool: y or n, never m"},
		{"string for a number", `CONFIG_NR_CPUS="8"`, `NR_CPUS: wanted "8", got 8: is a number (int)`},
		{"word for a string", "CONFIG_INIT_NAME=y", `INIT_NAME: wanted y, got "in\"it": is a string: its value stands in double quotes`},
		{"string for a tristate", `CONFIG_CARD="y"`, `CARD: wanted "y", got m: is a tristate: its value is y, m or n`},
		{"n for a number", "# CONFIG_NR_CPUS is not set", "NR_CPUS: wanted n, got 8: is a value of type int and cannot be n"},

		{"unknown, a letter wrong", "CONFIG_BLOK=y", "BLOK: wanted y, got n: no Kconfig file of this tree defines it; nearest: BLOCK"},
		{"unknown, letters swapped", "CONFIG_PRITNK=y", "PRITNK: wanted y, got n: no Kconfig file of this tree defines it; nearest: PRINTK"},
		{"unknown, nothing near", "CONFIG_QQQQ=y", "QQQQ: wanted y, got n: no Kconfig file of this tree defines it"},
		{"in a help text", "CONFIG_NOT_A_SYMBOL=y", "NOT_A_SYMBOL: wanted y, got n: no Kconfig file of this tree defines it"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var got string
			for _, p := range Check(parse(t, tt.request), final, os.DirFS("testdata/tree")) {
				got += p.String()
			}
			if got != tt.want {
				t.Errorf("Check(%q)\n got %s\nwant %s", tt.request, got, tt.want)
			}
		})
	}
}

func TestTreeIsUnderstood(t *testing.T) {
	tr, err := readTree(os.DirFS("testdata/tree"))
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range tr.notes {
		t.Errorf("skipped: %s", n)
	}
}

// openCounter tells whether the tree was read at all.
type openCounter struct {
	fs.FS
	opened int
}

func (o *openCounter) Open(name string) (fs.File, error) {
	o.opened++
	return o.FS.Open(name)
}

func TestCheckReadsTheTreeOnlyForAProblem(t *testing.T) {
	tree := &openCounter{FS: os.DirFS("testdata/tree")}
	if p := Check(parse(t, "CONFIG_SMP=y\nCONFIG_ZZZ=n\n"), finalConfig(t), tree); p != nil {
		t.Errorf("problems: %v", p)
	}
	if tree.opened != 0 {
		t.Errorf("%d files opened, want none", tree.opened)
	}
}

func TestCheckWithoutTree(t *testing.T) {
	request := parse(t, "\nCONFIG_SWAP=y\nCONFIG_SMP=y\nCONFIG_BLOCK=y\n")
	for _, tree := range []fs.FS{nil, os.DirFS("testdata/no-such-tree")} {
		got := Check(request, finalConfig(t), tree)
		if len(got) != 2 || got[0].Symbol != "SWAP" || got[0].Line != 2 || got[1].Symbol != "BLOCK" || !strings.HasPrefix(got[0].Why, "the reason is not known") {
			t.Errorf("tree %v: got %+v", tree, got)
		}
	}
	if _, err := readTree(os.DirFS("testdata/no-such-tree")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("readTree: %v, want not exist", err)
	}
}
