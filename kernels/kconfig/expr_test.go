package kconfig

import (
	"strings"
	"testing"
)

func TestExpr(t *testing.T) {
	x := explainer{tree: &tree{symbols: map[string]*symbol{
		"A": {typ: "bool"}, "M": {typ: "tristate"}, "OFF": {typ: "bool"}, "NUM": {typ: "int"}, "HEX": {typ: "hex"}, "S": {typ: "string"}, "EMPTY": {typ: "int"},
	}}, final: parse(t, "CONFIG_A=y\nCONFIG_M=m\nCONFIG_NUM=8\nCONFIG_HEX=0x1F\nCONFIG_S=\"x y\"\n")}
	tests := []struct {
		in   string
		text string // as String writes it; empty for the same as in
		want tri
	}{
		{"A", "", yes}, {"M", "", mod}, {"OFF", "", no}, {"NOWHERE", "", no},
		{"y", "", yes}, {"m", "", mod}, {"n", "", no}, {`"y"`, "", yes},
		{"!A", "", no}, {"!M", "", mod}, {"!!OFF", "", no},
		{"A && M", "", mod}, {"A&&M&&OFF", "A && M && OFF", no}, {"OFF || M", "", mod}, {"A || OFF && OFF", "", yes},
		{"(A || OFF) && OFF", "", no}, {"!(A && M)", "", mod}, {"((A))", "A", yes},
		{"A=y", "A = y", yes}, {"M != n", "", yes}, {"OFF=n", "OFF = n", yes}, {"M=y", "M = y", no}, {"!A=y", "!(A = y)", no},
		{"NUM > 4", "", yes}, {"NUM >= 8", "", yes}, {"NUM < 8", "", no}, {"NUM <= 0x8", "", yes}, {"HEX = 31", "", yes},
		{`S = "x y"`, "", yes}, {`S != 'x y'`, `S != "x y"`, no}, {`EMPTY = ""`, "", yes},
		{`"$(ARCH)" = "x86"`, `"x86" = "x86"`, yes}, {`$(ARCH) = "i386"`, `x86 = "i386"`, no},
		{"$(cc-option,-m64)", "", unknown}, {"!$(success,true)", "", unknown},
		{"A && $(success,a (b) c)", "", unknown}, {"OFF && $(success,true)", "", no}, {"A || $(success,true)", "", yes},
		{"OFF || $(success,true)", "", unknown}, {"$(shell,ver) > 4", "", unknown},
		{"A # a comment", "A", yes},
	}
	for _, tt := range tests {
		t.Run(tt.in, func(t *testing.T) {
			e, rest, err := parseExpr(tokens(tt.in))
			if err != nil || len(rest) != 0 {
				t.Fatalf("parseExpr(%q): %v, rest %v", tt.in, err, rest)
			}
			text := tt.text
			if text == "" {
				text = tt.in
			}
			if e.String() != text {
				t.Errorf("String() = %q, want %q", e, text)
			}
			if got := x.eval(e); got != tt.want {
				t.Errorf("eval(%q) = %v, want %v", tt.in, got, tt.want)
			}
		})
	}
}

func TestExprErrors(t *testing.T) {
	for _, in := range []string{"", "&&", "A &&", "!", "(A", ")", "A =", "A = = B", strings.Repeat("(", 10000) + "A", strings.Repeat("!", 10000) + "A"} {
		if e, _, err := parseExpr(tokens(in)); err == nil {
			t.Errorf("parseExpr(%q) = %v, want an error", clip(in), e)
		}
	}
}

// What parses, prints and parses again to the same text and value.
func FuzzExpr(f *testing.F) {
	f.Add(`(A || !B) && C != "x" && $(cc-option,-f(x)) || NUM >= 0x10`)
	f.Add(`"\"" = '$(`)
	f.Fuzz(func(t *testing.T, text string) {
		if len(text) > 2000 {
			return
		}
		e, rest, err := parseExpr(tokens(text))
		if err != nil {
			return
		}
		if len(rest) > len(tokens(text)) {
			t.Fatal("more is left than there was")
		}
		x := explainer{tree: &tree{symbols: map[string]*symbol{"A": {typ: "bool"}}}}
		x.eval(e)
		x.describe([]blocker{{e, no}, {e, unknown}})
		e.symbols(nil)
		e.conjuncts(nil)
		if strings.ContainsAny(text, "$\"'") {
			return // quoting follows the kernel's rules one way only
		}
		again, _, err := parseExpr(tokens(e.String()))
		if err != nil || again.String() != e.String() || x.eval(again) != x.eval(e) {
			t.Fatalf("%q prints as %q, which parses to %v (%v)", text, e, again, err)
		}
	})
}
