package watch

import (
	"slices"
	"testing"

	"kcatch/gdb/vmlinux"
)

// table is a kernel whose functions are 256 bytes each, in this order; one of them calls another at its sixteenth byte.
type table []string

func (k table) Symbol(name string) (vmlinux.Symbol, bool) {
	i := slices.Index(k, name)
	return vmlinux.Symbol{Name: name, Addr: 0xffffffff81000000 + vmlinux.Addr(i)<<8}, i >= 0
}

func (k table) CallSite(from, to string) (vmlinux.Addr, bool) {
	s, ok := k.Symbol(from)
	return s.Addr + 16, ok && from == "do_early_exception" && to == "early_fixup_exception"
}

// TestPoints: KVM takes four breakpoints, and the one that the boot waits for is among them.
func TestPoints(t *testing.T) {
	all := table{"do_early_exception", "early_fixup_exception", "oops_begin", "panic", "__warn", "setup_arch"}
	for _, tc := range []struct {
		name  string
		k     Symbols
		until string
		few   bool
		want  []string
	}{
		{"no vmlinux", nil, "init", false, nil},
		{"init", all, "init", false, []string{"early_fixup_exception", "oops_begin", "panic", "__warn"}},
		{"init, few", all, "init", true, []string{"early_fixup_exception", "oops_begin", "panic", "__warn"}},
		{"console, few", all, "console", true, []string{"early_fixup_exception", "oops_begin", "panic", "__warn"}},
		{"a symbol", all, "setup_arch", false, []string{"early_fixup_exception", "oops_begin", "panic", "__warn", "setup_arch"}},
		{"a symbol, few", all, "setup_arch", true, []string{"early_fixup_exception", "oops_begin", "panic", "setup_arch"}},
		{"one of ours, few", all, "panic", true, []string{"early_fixup_exception", "oops_begin", "__warn", "panic"}},
		{"a symbol that is not there, few", all, "start_kernel", true, []string{"early_fixup_exception", "oops_begin", "panic", "__warn"}},
		{"a kernel without BUG, few", table{"panic", "__warn", "setup_arch"}, "setup_arch", true, []string{"panic", "__warn", "setup_arch"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			var got []string
			for _, p := range points(tc.k, tc.until, tc.few) {
				got = append(got, p.symbol)
				if p.until != (p.symbol == tc.until) {
					t.Errorf("%s: until %v", p.symbol, p.until)
				}
			}
			if !slices.Equal(got, tc.want) {
				t.Errorf("points %q, want %q", got, tc.want)
			}
		})
	}
}
