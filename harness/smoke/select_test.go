package smoke

import (
	"strings"
	"testing"

	"kcatch/internal/blame"
)

// matrix are cells by name.
func matrix(names ...string) []Cell {
	var out []Cell
	for _, n := range names {
		p := append(strings.Split(n, "/"), "")
		out = append(out, Cell{Name: n, Kernel: p[0], Machine: p[1], Append: p[2]})
	}
	return out
}

func namesOf(cells []Cell) string {
	var out []string
	for _, c := range cells {
		out = append(out, c.Name)
	}
	return strings.Join(out, " ")
}

func TestSelect(t *testing.T) {
	cells := matrix("debian-6.1/q35/quiet", "debian-6.1/microvm/quiet", "debian-6.12/q35/quiet", "mine/q35-smp2/loud")
	for _, c := range []struct{ glob, want, hint string }{
		{"", "debian-6.1/q35/quiet debian-6.1/microvm/quiet debian-6.12/q35/quiet mine/q35-smp2/loud", ""},
		{"debian-6.1/*", "debian-6.1/q35/quiet debian-6.1/microvm/quiet", ""},
		{"*", "debian-6.1/q35/quiet debian-6.1/microvm/quiet debian-6.12/q35/quiet mine/q35-smp2/loud", ""},
		{"*/q35*", "debian-6.1/q35/quiet debian-6.12/q35/quiet mine/q35-smp2/loud", ""},
		{"debian-6.1?/q35/*", "debian-6.12/q35/quiet", ""},
		{"[c-e]*/[^m]*/quiet", "debian-6.1/q35/quiet debian-6.12/q35/quiet", ""},
		{"[!d]*", "mine/q35-smp2/loud", ""},
		{`m\ine/*`, "mine/q35-smp2/loud", ""},
		{"mine/q35-smp2/loud", "mine/q35-smp2/loud", ""},
		{"mine/q35-smp2/lout", "", "did you mean mine/q35-smp2/loud?"},
		{"*/micrvm/*", "", "did you mean */microvm/*?"},
		{"DEBIAN", "", "--list names the cells"},
		{"debian.6.1/*", "", "did you mean debian-6.1/*?"}, // a dot is a dot
		{"[", "", "one of these"}, {"[]", "", "one of these"}, {"a\\", "", "one of these"}, {"[z-a]", "", "one of these"}, {"[^]", "", "one of these"},
		{strings.Repeat("*a", 5000), "", "--list"},
	} {
		got, err := Select(cells, c.glob)
		if namesOf(got) != c.want || (err == nil) != (c.want != "") || err != nil && (blame.Of(err) != blame.Usage || !strings.Contains(blame.Hint(err), c.hint)) {
			t.Errorf("%.40q: got %q, %v (%s); want %q (%s)", c.glob, namesOf(got), err, blame.Hint(err), c.want, c.hint)
		}
	}
}

// A glob is taken or refused; a name as it is takes itself.
func FuzzSelect(f *testing.F) {
	f.Add("a/b*[^c]?\\", "abc")
	f.Add("[[:alpha:]]", "[a-\\]^&&~")
	f.Fuzz(func(t *testing.T, glob, name string) {
		if _, err := Select([]Cell{{Name: name}}, glob); err != nil && blame.Of(err) != blame.Usage {
			t.Fatal(err)
		}
		if plain := !strings.ContainsAny(name, `*?[\`); plain && name != "" {
			if _, err := Select([]Cell{{Name: name}}, name); err != nil && strings.ToValidUTF8(name, "") == name {
				t.Fatalf("%q does not match itself: %v", name, err)
			}
		}
	})
}
