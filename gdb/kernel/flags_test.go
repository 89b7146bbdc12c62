package kernel_test

import (
	"testing"

	"kcatch/gdb/kernel"
	"kcatch/gdb/value"
	"kcatch/internal/fixtures"
)

// TestFlags: bits by the kernels' own names, as include/linux/gfp_types.h and mm.h of 6.1.192 and 6.12.117 define them.
func TestFlags(t *testing.T) {
	for _, name := range []string{fixtures.Good61, fixtures.Good612} {
		k, err := kernel.Open(fixtures.Find(t, name).Vmlinux)
		if err != nil {
			t.Fatal(err)
		}
		defer k.Close()
		for _, tc := range []struct {
			typedef string
			bits    uint64
			want    string
		}{
			{"gfp_t", 0xdc0, "GFP_KERNEL | __GFP_ZERO"},
			{"gfp_t", 0x920, map[string]string{fixtures.Good61: "GFP_NOWAIT | __GFP_HIGH | __GFP_ZERO", fixtures.Good612: "GFP_ATOMIC | __GFP_ZERO"}[name]},
			{"gfp_t", 0xcc0, "GFP_KERNEL"},
			{"vm_flags_t", 0x75, "read | exec | mayread | maywrite | mayexec"},
			{"int", 3, "0x3"},
		} {
			if got := value.FlagText(tc.bits, k.Flags(tc.typedef)); got != tc.want {
				t.Errorf("%s: %s 0x%x: %s, want %s", name, tc.typedef, tc.bits, got, tc.want)
			}
		}
	}
}
