package autopsy

import (
	"testing"

	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
)

// TestNameBySymbol: the function is the source's name also where nothing but a symbol says it.
func TestNameBySymbol(t *testing.T) {
	for _, tc := range []struct{ symbol, function, kept string }{
		{"do_exit", "do_exit", ""},
		{"kcatch_null_write.constprop.0", "kcatch_null_write", "kcatch_null_write.constprop.0"},
		{"f.isra.0.cold", "f", "f.isra.0.cold"},
		{".text", ".text", ""},
	} {
		var f verdict.Frame
		nameBySymbol(&f, tc.symbol)
		if f.Function != tc.function || f.Symbol != tc.kept {
			t.Errorf("%s: function %q, symbol %q; want %q, %q", tc.symbol, f.Function, f.Symbol, tc.function, tc.kept)
		}
	}
	// With lines, the inlined function has no symbol of its own.
	var base verdict.Frame
	nameBySymbol(&base, "f.cold")
	got := spread(base, "f.cold", []vmlinux.Location{{Function: "check", Inline: true}, {Function: "f"}})
	if got[0].Symbol != "" || got[1].Symbol != "f.cold" || got[1].Function != "f" {
		t.Errorf("spread = %+v", got)
	}
}
