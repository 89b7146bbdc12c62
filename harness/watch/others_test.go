package watch

import (
	"testing"

	"kcatch/gdb/rsp"
	"kcatch/gdb/vmlinux"
)

// TestAnchor: what stands everywhere while the kernel is not found yet is one anchor, whatever else is wanted; only what is passed
// before it, or a kernel without it, has to stand there itself.
func TestAnchor(t *testing.T) {
	whole, old := table{"initial_code", "x86_64_start_kernel", "early_setup_idt", "setup_arch"}, table{"x86_64_start_kernel", "setup_arch"}
	mine := []Point{{Links: []vmlinux.Addr{1, 2}}}
	for _, tc := range []struct {
		name   string
		k      table
		until  string
		mine   []Point
		spread []string
		kind   rsp.Kind
	}{
		{"nothing is wanted early", whole, "init", nil, nil, 0},
		{"others", whole, "console", mine, []string{"initial_code"}, rsp.ReadWatch},
		{"until", whole, "setup_arch", nil, []string{"initial_code"}, rsp.ReadWatch},
		{"both", whole, "setup_arch", mine, []string{"initial_code"}, rsp.ReadWatch},
		{"before the anchor", whole, "early_setup_idt", nil, []string{"early_setup_idt", "initial_code"}, 0},
		{"others without it", old, "init", mine, []string{"x86_64_start_kernel"}, 0},
		{"until without it", old, "setup_arch", nil, []string{"setup_arch"}, 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := &watch{points: append(points(tc.k, tc.until, false), others(tc.k, tc.until, tc.mine)...)}
			var got []*point
			for i := range w.points {
				if w.spread(&w.points[i]) {
					got = append(got, &w.points[i])
				}
			}
			if len(got) != len(tc.spread) {
				t.Fatalf("%d points everywhere, want %v", len(got), tc.spread)
			}
			for i, p := range got {
				if p.symbol != tc.spread[i] {
					t.Errorf("%s is everywhere, want %s", p.symbol, tc.spread[i])
				}
			}
			if len(got) == 1 && got[0].kind != tc.kind {
				t.Errorf("%s is of kind %v", got[0].symbol, got[0].kind)
			}
		})
	}
}
