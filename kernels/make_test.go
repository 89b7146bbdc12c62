package kernels

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/internal/blame"
)

func TestMakeLogFindsTheFirstError(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"gcc", "  CC      mm/a.o\n/s/src/mm/a.c: In function ‘f’:\n/s/src/mm/a.c:12:5: error: ‘x’ undeclared\nmake[2]: *** [/s/src/scripts/Makefile.build:250: mm/a.o] Error 1\n", "mm/a.c:12:5: error: ?"},
		{"header", "In file included from /s/src/mm/a.c:1:\n/s/src/include/linux/x.h:3:2: error: #error no\n", "include/linux/x.h:3:2: error: #error no"},
		{"warning before", "mm/a.c:1:1: warning: unused\nmm/b.c:2:1: error: bad\n", "mm/b.c:2:1: error: bad"},
		{"assembler", "/s/src/arch/x86/x.S:7: Error: no such instruction\n", "arch/x86/x.S:7: Error: no such instruction"},
		{"linker", "ld: vmlinux.o: in function `f':\n/s/src/mm/a.c:9: undefined reference to `g'\nmake: *** [x] Error 1\n", "mm/a.c:9: undefined reference to `g'"},
		{"linker alone", "ld: cannot find x.o: No such file\nmake: *** [x] Error 1\n", "ld: cannot find x.o"},
		{"kconfig", "lib/Kconfig.debug:2844: can't open file \"Documentation/Kconfig\"\nmake[2]: *** [/s/src/scripts/kconfig/Makefile:77: allnoconfig] Error 1\n", "lib/Kconfig.debug:2844: can't open file"},
		{"kconfig warns", "init/Kconfig:12:warning: config symbol defined without type\n", ""},
		{"make only", "make[1]: *** No rule to make target 'mm/none.o', needed by 'mm/built-in.a'.  Stop.\n", "make[1]: *** No rule to make target 'mm/none.o'"},
		{"compiler after make", "make[1]: *** Waiting for unfinished jobs....\nmm/a.c:1:1: error: late\n", "mm/a.c:1:1: error: late"},
		{"no newline at the end", "mm/a.c:1:1: fatal error: x.h: No such file", "mm/a.c:1:1: fatal error: x.h"},
		{"none", "  CC      mm/a.o\n  LD      vmlinux\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, step := range []int{1, 7, len(c.text)} { // pieces as a pipe may cut them
				l := makeLog{src: "/s/src", tick: func(int, string) {}}
				for p := c.text; p != ""; p = p[min(step, len(p)):] {
					l.Write([]byte(p[:min(step, len(p))]))
				}
				l.flush()
				if !strings.HasPrefix(l.first, c.want) || c.want == "" && l.first != "" {
					t.Errorf("in pieces of %d: %q, want %q", step, l.first, c.want)
				}
			}
		})
	}
}

// The evidence is the compiler's excerpt, or what came before make gave up; never make's own talk, and never the headline again.
func TestMakeLogDetail(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"make: Entering directory '/s/src'\n/s/src/mm/a.c: In function 'f':\n/s/src/mm/a.c:1:2: error: bad\n    1 | bad\n      | ^~~\nmake[1]: *** [mm/a.o] Error 1\nmake: Leaving directory '/s/src'\n",
			"    1 | bad\n      | ^~~"},
		{"make: Entering directory '/s/src'\n*** The tree is not what it was\nmake: *** [x] Error 1\n", "*** The tree is not what it was"},
	} {
		l := makeLog{src: "/s/src", tick: func(int, string) {}}
		l.Write([]byte(c.text))
		if got := l.detail(); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

func TestMakeLogCounts(t *testing.T) {
	var last string
	l := makeLog{tick: func(n int, what string) { last = what }}
	l.Write([]byte("make[1]: Entering directory '/x'\n  HOSTCC  scripts/x\n  CC [M]  fs/x.o\n  LD      vmlinux\nKernel: arch/x86/boot/bzImage is ready  (#1)\n"))
	if l.steps != 3 || last != "LD vmlinux" {
		t.Errorf("%d steps, last %q", l.steps, last)
	}
}

func FuzzMakeLog(f *testing.F) {
	f.Add([]byte("  CC x\nmm/a.c:1:1: error: x"))
	f.Fuzz(func(t *testing.T, data []byte) {
		l := makeLog{src: "/s", tick: func(int, string) {}}
		l.Write(data)
		l.flush()
		if strings.ContainsAny(l.first, "\n\x1b") {
			t.Errorf("%q", l.first)
		}
	})
}

func TestToolchain(t *testing.T) {
	for _, c := range []struct{ args, cc, ld, hostcc string }{
		{"", "gcc", "ld", "gcc"}, {"LLVM=1", "clang", "ld.lld", "clang"}, {"LLVM=-15", "clang-15", "ld.lld-15", "clang-15"},
		{"LLVM=/opt/llvm/bin/", "/opt/llvm/bin/clang", "/opt/llvm/bin/ld.lld", "/opt/llvm/bin/clang"}, {"LLVM=0", "gcc", "ld", "gcc"},
		{"CC=gcc-12", "gcc-12", "ld", "gcc"}, {"LLVM=1 LD=ld.bfd", "clang", "ld.bfd", "clang"}, {"CROSS_COMPILE=x86_64-linux-gnu-", "x86_64-linux-gnu-gcc", "x86_64-linux-gnu-ld", "gcc"},
	} {
		if got := readToolchain(strings.Fields(c.args)); got.cc != c.cc || got.ld != c.ld || got.hostcc != c.hostcc {
			t.Errorf("%s: %s %s %s", c.args, got.cc, got.ld, got.hostcc)
		}
	}
	for _, bad := range []string{"-j9", "clean", "O=/tmp/x", "M=drivers", "ARCH=arm64", "-C", "X=a\nb"} {
		wantBlame(t, checkMake([]string{bad}), blame.Usage, "make: ")
	}
	if err := checkMake([]string{"LLVM=1", "KCFLAGS=-O1 -g", "ARCH=x86_64"}); err != nil {
		t.Error(err)
	}
}

func TestCheck(t *testing.T) {
	fakeTools(t)
	tree := fakeKernel(t)
	dir := t.TempDir()
	writeFiles(t, dir, map[string]string{
		"good.config": "CONFIG_X=y\n# CONFIG_Y is not set\n", "bad.config": "hello\n", "empty.config": "# nothing\n", "good.diff": addLine,
		"misfit.diff": strings.Replace(addLine, "int b;", "int zz;", 1), "text.diff": "hello\n", "notkernel/Makefile": "all:\n", "x.tar.xz": "hello", "x.zip": "PK",
		"noarch/Makefile": "VERSION = 1\nPATCHLEVEL = 2\n",
	})
	in := func(name string) string { return filepath.Join(dir, name) }
	for _, c := range []struct {
		name string
		req  Request
		kind blame.Kind
		want []string
	}{
		{"no tree", Request{Tree: in("nothing")}, blame.Usage, []string{"tree: ", "no such file"}},
		{"no such name", Request{Tree: "debian-7"}, blame.Usage, []string{"debian-6.1, debian-6.12"}},
		{"no Makefile", Request{Tree: dir}, blame.Usage, []string{"not a kernel tree: it has no Makefile"}},
		{"another Makefile", Request{Tree: in("notkernel")}, blame.Usage, []string{"not a kernel tree", "VERSION"}},
		{"no x86", Request{Tree: in("noarch")}, blame.Usage, []string{"not a kernel tree", "Kbuild"}},
		{"no archive", Request{Tree: in("x.tar.xz")}, blame.Usage, []string{"not a tar archive"}},
		{"zip", Request{Tree: in("x.zip")}, blame.Usage, []string{"neither a directory nor a .tar.xz"}},
		{"patch", Request{Tree: tree, Patches: []string{in("none.diff")}}, blame.Usage, []string{"no such file"}},
		{"no patch", Request{Tree: tree, Patches: []string{in("text.diff")}}, blame.Usage, []string{"not a patch"}},
		{"misfit", Request{Tree: tree, Patches: []string{in("misfit.diff")}}, blame.Build, []string{"misfit.diff: mm/a.c: hunk 1 of 1"}},
		{"base", Request{Tree: tree, Base: "tinny"}, blame.Usage, []string{"base: tinny: no such file", "tiny, defconfig"}},
		{"bad base", Request{Tree: tree, Base: in("bad.config")}, blame.Usage, []string{"not a kernel configuration: line 1"}},
		{"empty base", Request{Tree: tree, Base: in("empty.config")}, blame.Usage, []string{"sets no symbol"}},
		{"directory", Request{Tree: tree, Base: dir}, blame.Usage, []string{"is a directory"}},
		{"fragment", Request{Tree: tree, Fragments: []string{"kasann"}}, blame.Usage, []string{"kasann: no such file", "kasan"}},
		{"make", Request{Tree: tree, Make: []string{"clean"}}, blame.Usage, []string{"not VARIABLE=VALUE"}},
		{"compiler", Request{Tree: tree, Make: []string{"CC=no-such-gcc"}}, blame.Infrastructure, []string{"not installed: no-such-gcc"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := Builder{Cache: filepath.Join(t.TempDir(), "cache")}
			wantBlame(t, b.Check(t.Context(), c.req), c.kind, c.want...)
			if _, err := os.Stat(b.Cache); err == nil {
				t.Error("the cache was made")
			}
		})
	}
}

func TestCheckNamesWhatIsMissing(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"make", "gcc", "ld", "bc", "perl", "lz4"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	err := (&Builder{Cache: t.TempDir()}).Check(t.Context(), Request{Tree: fakeKernel(t)})
	wantBlame(t, err, blame.Infrastructure, "not installed: flex, bison", "as root: apt-get install --no-install-recommends flex bison")
	if strings.Contains(blame.Hint(err), "gcc") {
		t.Errorf("names what is there: %s", blame.Hint(err))
	}
}

func TestNoApt(t *testing.T) {
	bin := t.TempDir()
	for _, name := range []string{"gcc", "ld"} {
		if err := os.WriteFile(filepath.Join(bin, name), []byte("#!/bin/sh\necho "+name+" 1\n"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("PATH", bin)
	_, err := (&Builder{Cache: t.TempDir()}).Build(t.Context(), Request{})
	wantBlame(t, err, blame.Usage, "no apt", "name a TREE")
}
