package kconfig

import (
	"errors"
	"strings"
	"testing"
)

func parse(t testing.TB, text string) Config {
	t.Helper()
	c, err := Parse(strings.NewReader(text))
	if err != nil {
		t.Fatalf("Parse(%q): %v", text, err)
	}
	return c
}

func TestParse(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"empty", "", ""},
		{"yes, module, no", "CONFIG_A=y\nCONFIG_B=m\nCONFIG_C=n\n# CONFIG_D is not set\n",
			"CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n# CONFIG_D is not set\n"},
		{"numbers", "CONFIG_A=17\nCONFIG_B=0xfF\nCONFIG_C=-1\nCONFIG_D=ff\nCONFIG_E=\n",
			"CONFIG_A=17\nCONFIG_B=0xfF\nCONFIG_C=-1\nCONFIG_D=ff\nCONFIG_E=\n"},
		{"strings", `CONFIG_A=""` + "\n" + `CONFIG_B="a b # \"c\" \\"` + "\n", `CONFIG_A=""` + "\n" + `CONFIG_B="a b # \"c\" \\"` + "\n"},
		{"comments and blanks", "#\n# Linux/x86\n\n   \n# CONFIG_A is not set in stone\n", ""},
		{"carriage returns", "CONFIG_A=y\r\n# CONFIG_B is not set\r\n", "CONFIG_A=y\n# CONFIG_B is not set\n"},
		{"no newline at the end", "CONFIG_A=y", "CONFIG_A=y\n"},
		{"twice: last value, first place", "CONFIG_A=y\nCONFIG_B=y\nCONFIG_A=m\n", "CONFIG_A=m\nCONFIG_B=y\n"},
		{"lower case and digits", "CONFIG_64BIT=y\nCONFIG_TI_icssg=y\n", "CONFIG_64BIT=y\nCONFIG_TI_icssg=y\n"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := string(parse(t, tt.in).Render()); got != tt.want {
				t.Errorf("Parse(%q)\n got %q\nwant %q", tt.in, got, tt.want)
			}
		})
	}
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		name, in, want string
	}{
		{"prose", "CONFIG_A=y\nplease\n", `line 2: "please": not CONFIG_NAME=VALUE`},
		{"no prefix", "KASAN=y\n", `line 1: "KASAN=y": the name does not start with CONFIG_`},
		{"space before =", "CONFIG_A =y\n", `line 1: "CONFIG_A =y": the name has a character`},
		{"no name", "CONFIG_=y\n", `the name has a character`},
		{"leading space", " CONFIG_A=y\n", `does not start with CONFIG_`},
		{"upper case", "CONFIG_A=Y\n", `written in lower case`},
		{"word", "\n\nCONFIG_A=yes\n", `line 3: "CONFIG_A=yes": the value is not y, m, n`},
		{"open string", `CONFIG_A="x`, `no closing quote`},
		{"escaped end", `CONFIG_A="x\"`, `no closing quote`},
		{"after the string", `CONFIG_A="x" y`, `text after the closing quote`},
		{"comment after a value", `CONFIG_A=y # why`, `the value is not`},
		{"NUL", "CONFIG_A=\"\x00\"", `control character`},
		{"endless line", "CONFIG_A=y\n" + strings.Repeat("x", maxLine+1), `line 2: "": longer than`},
		{"diff", "--- a/x\n", `line 1: "--- a/x"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := Parse(strings.NewReader(tt.in))
			var pe *ParseError
			if !errors.As(err, &pe) || !strings.Contains(err.Error(), tt.want) {
				t.Fatalf("Parse(%q) = %v, want a ParseError with %q", clip(tt.in), err, tt.want)
			}
			if c.Len() != 0 {
				t.Errorf("the Config has %d options, want none", c.Len())
			}
		})
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("disk on fire") }

func TestParseReaderError(t *testing.T) {
	if _, err := Parse(brokenReader{}); err == nil || err.Error() != "disk on fire" {
		t.Errorf("got %v, want the reader's error", err)
	}
}

func TestMerge(t *testing.T) {
	base := parse(t, "CONFIG_A=y\nCONFIG_B=y\n")
	got := Merge(base, parse(t, "# CONFIG_B is not set\nCONFIG_C=1\n"), parse(t, "CONFIG_C=2\nCONFIG_A=m\n"))
	want := "CONFIG_A=m\n# CONFIG_B is not set\nCONFIG_C=2\n"
	if string(got.Render()) != want {
		t.Errorf("got %q, want %q", got.Render(), want)
	}
	if string(base.Render()) != "CONFIG_A=y\nCONFIG_B=y\n" {
		t.Errorf("Merge changed its argument: %q", base.Render())
	}
	if o, _ := got.Get("C"); o.Line != 1 {
		t.Errorf("C: line %d, want that of the winning line, 1", o.Line)
	}
}

func TestConfig(t *testing.T) {
	c := parse(t, "CONFIG_A=y\nCONFIG_B=m\n# CONFIG_C is not set\n")
	if !c.Enabled("A") || !c.Enabled("B") || c.Enabled("C") || c.Enabled("D") {
		t.Error("Enabled is wrong")
	}
	if _, ok := c.Get("CONFIG_A"); ok {
		t.Error("Get takes names without CONFIG_")
	}
	if err := c.Set("D", `"x"`); err != nil || c.Value("D") != `"x"` {
		t.Errorf("Set: %v, %q", err, c.Value("D"))
	}
	for _, bad := range [][2]string{{"", "y"}, {"A-B", "y"}, {"A", "yes"}, {"A", "y\nCONFIG_B=y"}, {"A", "\"x\nCONFIG_B=y\""}} {
		if err := c.Set(bad[0], bad[1]); err == nil {
			t.Errorf("Set(%q, %q) took", bad[0], bad[1])
		}
	}
	options := c.Options()
	options[0].Value = "n"
	if c.Value("A") != "y" {
		t.Error("Options gave its own slice away")
	}
}

// A configuration that Parse takes renders to text that Parse takes, with the same options.
func FuzzParse(f *testing.F) {
	f.Add("CONFIG_A=y\n# CONFIG_B is not set\nCONFIG_C=\"a\\\"b\"\r\nCONFIG_D=0x10\n")
	f.Add("# CONFIG_ is not set\nCONFIG_A=")
	f.Fuzz(func(t *testing.T, text string) {
		c, err := Parse(strings.NewReader(text))
		if err != nil {
			return
		}
		again, err := Parse(strings.NewReader(string(c.Render())))
		if err != nil {
			t.Fatalf("%q renders to %q: %v", text, c.Render(), err)
		}
		if string(again.Render()) != string(c.Render()) {
			t.Fatalf("%q, then %q", c.Render(), again.Render())
		}
	})
}
