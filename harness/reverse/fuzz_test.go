package reverse

import (
	"strings"
	"testing"
)

// FuzzStop: what is taken out of a stop is a part of it that ends where gdb's pairs do, whatever a stub says.
func FuzzStop(f *testing.F) {
	for _, seed := range []string{"T05thread:p01.01;watch:ffffea0000000034;", "T05", "W00", "", "T05watch:;;", "S05", "T05awatch:1", "OK"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, stop string) {
		for _, pair := range []string{field(stop, "thread"), watched(stop)} {
			if pair == "" {
				continue
			}
			if !isStop(stop) || !strings.Contains(stop[3:], pair) || strings.Count(pair, ";") != 1 || !strings.HasSuffix(pair, ";") || !strings.Contains(pair, ":") {
				t.Errorf("%q of %q", pair, stop)
			}
		}
	})
}

func TestWatched(t *testing.T) {
	for stop, want := range map[string]string{
		"T05thread:p01.01;watch:ffffea0000000034;": "watch:ffffea0000000034;", "T05rwatch:10;thread:01;": "rwatch:10;", "T05awatch:10;": "awatch:10;",
		"T05thread:p01.01;": "", "T05watch:10": "", "S05": "", "W00": "",
	} {
		if got := watched(stop); got != want {
			t.Errorf("%s: %q, want %q", stop, got, want)
		}
	}
}

func TestResumes(t *testing.T) {
	for packet, want := range map[string]bool{"c": true, "s": true, "C05": true, "S05": true, "vCont;c": true, "vCont;s:p1.1;c:p1.-1": true,
		"vCont?": false, "": false, "g": false, "qC": false, "m0,1": false} {
		if got := resumes(packet); got != want {
			t.Errorf("%q: %t", packet, got)
		}
	}
}
