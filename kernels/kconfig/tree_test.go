package kconfig

import (
	"errors"
	"strings"
	"testing"
	"testing/fstest"
)

func mapTree(files ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(files); i += 2 {
		fsys[files[i]] = &fstest.MapFile{Data: []byte(files[i+1])}
	}
	return fsys
}

// What is not understood is noted with its place, and what follows it is still read.
func TestReadTreeNotes(t *testing.T) {
	tests := []struct {
		name string
		tree fstest.MapFS
		want string
	}{
		{"unknown keyword", mapTree("Kconfig", "config A\n\tboool \"x\"\n"), `Kconfig:2: "boool" is no keyword`},
		{"no symbol", mapTree("Kconfig", "config\n"), "Kconfig:1: config without a symbol"},
		{"depends alone", mapTree("Kconfig", "config A\n\tdepends A\n"), "Kconfig:2: depends without on"},
		{"bad expression", mapTree("Kconfig", "config A\n\tdepends on (A\n"), "Kconfig:2: not an expression: a parenthesis is not closed"},
		{"bad range", mapTree("Kconfig", "config A\n\trange 1\n"), "Kconfig:2: not an expression"},
		{"bad condition", mapTree("Kconfig", "config A\n\tbool \"a\" unless B\n"), `Kconfig:2: "unless" where only an if can stand`},
		{"end without start", mapTree("Kconfig", "endmenu\n"), "Kconfig:1: endmenu without its menu"},
		{"crossed blocks", mapTree("Kconfig", "menu \"a\"\nendif\nendmenu\n"), "Kconfig:2: endif without its if"},
		{"not closed", mapTree("Kconfig", "menu \"a\"\n"), "Kconfig:3: menu is not closed"},
		{"closed in another file", mapTree("Kconfig", "if A\nsource \"b\"\nendif\n", "b", "endif\n"), "b:1: endif without its if"},
		{"missing file", mapTree("Kconfig", "source \"b\"\n"), "Kconfig:1: open b: file does not exist"},
		{"outside the tree", mapTree("Kconfig", "source \"../../etc/passwd\"\n"), `Kconfig:1: source "../../etc/passwd" leaves the tree`},
		{"absolute", mapTree("Kconfig", "source \"/etc/passwd\"\n"), `leaves the tree`},
		{"a directory", mapTree("Kconfig", "source \"b\"\n", "b/c", ""), "b: not a Kconfig file"},
		{"unknown name", mapTree("Kconfig", "source \"$(shell,date)\"\n"), "Kconfig:1: source of an unknown file"},
		{"no statement", mapTree("Kconfig", "\"text\"\n"), `Kconfig:1: "text" begins no statement`},
		{"deep blocks", mapTree("Kconfig", strings.Repeat("if A\n", 300)), "blocks nested deeper than 256"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			tt.tree["Kconfig"].Data = append(tt.tree["Kconfig"].Data, "config LAST\n\tbool \"last\"\n"...)
			tr, err := readTree(tt.tree)
			if err != nil {
				t.Fatal(err)
			}
			if notes := strings.Join(tr.notes, "\n"); !strings.Contains(notes, tt.want) {
				t.Errorf("notes %q, want %q among them", notes, tt.want)
			}
			if tr.symbols["LAST"] == nil {
				t.Error("what follows is lost")
			}
		})
	}
}

func TestReadTreeBounds(t *testing.T) {
	if _, err := readTree(mapTree("Kconfig", "source \"Kconfig\"\n")); !errors.Is(err, errBounds) {
		t.Errorf("a file that includes itself: %v", err)
	}
	if _, err := readTree(mapTree("Kconfig", strings.Repeat("source \"a\"\n", maxFiles+1), "a", "")); !errors.Is(err, errBounds) {
		t.Errorf("too many files: %v", err)
	}
	if _, err := readTree(fstest.MapFS{}); err == nil || !strings.Contains(err.Error(), "Kconfig") {
		t.Errorf("not a kernel tree: %v", err)
	}
}

// Whatever the files say, reading ends and every symbol can be explained.
func FuzzTree(f *testing.F) {
	f.Add("config A\n\tbool \"a\" if B\n\tdepends on B && !C\n\tselect D if E\n\thelp\n\t  x\n", "y")
	f.Add("menu \"m\"\nvisible if A\nif B\nchoice\nprompt \"p\"\nconfig A\n\ttristate\n\tdefault m if A\nendchoice\nendif\nendmenu\nsource \"Kconfig.2\"\n", "m")
	f.Add("config A\n\thex \"a\"\n\trange 0x1 B\n\tdefault 0x1\n\tdepends on \\\n B\n", "0x10")
	f.Fuzz(func(t *testing.T, text, wanted string) {
		if len(text) > 10000 || checkValue(wanted) != "" {
			return
		}
		tr, err := readTree(mapTree("Kconfig", text, "Kconfig.2", text))
		if err != nil {
			if !errors.Is(err, errBounds) {
				t.Fatal(err)
			}
			return
		}
		for _, value := range []string{"n", "m", "y"} {
			var final Config
			for _, name := range tr.order {
				final.put(Option{Symbol: name, Value: value})
			}
			x := explainer{tree: tr, final: final}
			for i, name := range tr.order {
				if i > 20 {
					break
				}
				if why, _ := x.why(name, wanted); why == "" {
					t.Fatalf("%s: no reason", name)
				}
			}
		}
	})
}
