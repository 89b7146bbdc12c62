package kernels

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"kcatch/internal/blame"
)

// A toolchain is which compiler and linker the user's make arguments choose, by kbuild's rules (Documentation/kbuild/llvm.rst).
type toolchain struct {
	cc, ld string
	hostcc string
	args   []string // the user's make arguments
	named  bool     // CC= was given
}

// readToolchain reads LLVM=1, LLVM=-15, LLVM=/usr/lib/llvm-15/bin/, CC=, LD=, HOSTCC= and CROSS_COMPILE=.
func readToolchain(args []string) toolchain {
	t := toolchain{cc: "gcc", ld: "ld", hostcc: "gcc", args: args}
	cross := ""
	for _, a := range args {
		switch name, value, _ := strings.Cut(a, "="); name {
		case "LLVM":
			prefix, suffix := "", ""
			if strings.HasPrefix(value, "-") {
				suffix = value
			} else if strings.HasSuffix(value, "/") {
				prefix = value
			}
			if value != "" && value != "0" {
				t.cc, t.ld, t.hostcc = prefix+"clang"+suffix, prefix+"ld.lld"+suffix, prefix+"clang"+suffix
			}
		case "CROSS_COMPILE":
			cross = value
		}
	}
	if cross != "" && t.cc == "gcc" {
		t.cc, t.ld = cross+t.cc, cross+t.ld
	}
	for _, a := range args {
		switch name, value, _ := strings.Cut(a, "="); name {
		case "CC":
			t.cc, t.named = value, true
		case "LD":
			t.ld = value
		case "HOSTCC":
			t.hostcc = value
		}
	}
	return t
}

// checkMake refuses make arguments that would take the build out of our hands.
func checkMake(args []string) error {
	for _, a := range args {
		name, _, ok := strings.Cut(a, "=")
		switch {
		case strings.ContainsAny(a, "\n\x00"):
			return blame.New(blame.Usage, "make: "+clip(a)+": not an argument", "")
		case !ok || strings.HasPrefix(a, "-"):
			return blame.New(blame.Usage, "make: "+clip(a)+": not VARIABLE=VALUE", "targets and options of make are ours; give variables, as LLVM=1 or KCFLAGS=-O1")
		case name == "O" || name == "KBUILD_OUTPUT" || name == "KBUILD_EXTMOD" || name == "M" || name == "srctree" || name == "objtree":
			return blame.New(blame.Usage, "make: "+clip(a)+": where it is built is not for --make", "")
		case name == "ARCH" && a != "ARCH=x86_64" && a != "ARCH=x86":
			return blame.New(blame.Usage, "make: "+clip(a)+": only x86_64 kernels", "")
		}
	}
	return nil
}

// A need is a program or a header the kernel's build wants, and Debian's package of it.
type need struct {
	what, pkg string
	header    bool
}

func (n need) there() bool {
	if n.header {
		return haveHeader(n.what)
	}
	_, err := exec.LookPath(n.what)
	return err == nil
}

// needs lists what the kernel's build needs (Documentation/process/changes.rst), as far as it can be known before the configuration is:
// openssl, pahole and the compressors depend on it.
func (t toolchain) needs(tiny, patches bool) []need {
	needs := []need{
		{"make", "make", false}, {first(t.cc), pkgOf(t.cc), false}, {first(t.ld), pkgOf(t.ld), false}, {first(t.hostcc), pkgOf(t.hostcc), false},
		{"flex", "flex", false}, {"bison", "bison", false}, {"bc", "bc", false}, {"perl", "perl", false},
		{"gelf.h", "libelf-dev", true}, {"stdio.h", "libc6-dev", true},
	}
	if tiny {
		needs = append(needs, need{"lz4", "lz4", false})
	}
	if patches {
		needs = append(needs, need{"git", "git", false})
	}
	return needs
}

// missing lists what is not installed of it.
func (t toolchain) missing(tiny, patches bool) []need {
	var gone []need
	seen := map[string]bool{}
	for _, n := range t.needs(tiny, patches) {
		if !n.there() && !seen[n.what] {
			seen[n.what] = true
			gone = append(gone, n)
		}
	}
	return gone
}

// check gives the one line that installs what is missing.
func (t toolchain) check(tiny, patches bool) error {
	gone := t.missing(tiny, patches)
	if len(gone) == 0 {
		return nil
	}
	var what, pkgs []string
	for _, n := range gone {
		what = append(what, n.what)
		if n.pkg != "" && !contains(pkgs, n.pkg) {
			pkgs = append(pkgs, n.pkg)
		}
	}
	hint := "install them; Debian's names are in README.md"
	if len(pkgs) > 0 {
		hint = "as root: apt-get install --no-install-recommends " + strings.Join(pkgs, " ")
	}
	return blame.New(blame.Infrastructure, "build: not installed: "+strings.Join(what, ", "), hint)
}

func contains(list []string, s string) bool {
	for _, v := range list {
		if v == s {
			return true
		}
	}
	return false
}

// first is the program in a command that may have a wrapper or options: "ccache gcc-12" is ccache.
func first(cmd string) string {
	if f := strings.Fields(cmd); len(f) > 0 {
		return f[0]
	}
	return cmd
}

// pkgOf names Debian's package of a compiler or linker.
func pkgOf(tool string) string {
	base := filepath.Base(first(tool))
	switch {
	case base == "ld" || strings.HasPrefix(base, "ld.b"):
		return "binutils"
	case strings.HasPrefix(base, "ld.lld"):
		return "lld" + strings.TrimPrefix(base, "ld.lld")
	case strings.HasPrefix(base, "gcc"), strings.HasPrefix(base, "clang"), base == "ccache":
		return base
	case base == "cc":
		return "gcc"
	}
	return ""
}

// haveHeader looks where compilers look. It may say yes for a header of another architecture; the build then says no.
func haveHeader(name string) bool {
	dirs := []string{"/usr/include", "/usr/local/include", "/usr/include/x86_64-linux-gnu", "/usr/include/elfutils"}
	dirs = append(dirs, filepath.SplitList(os.Getenv("CPATH"))...)
	dirs = append(dirs, filepath.SplitList(os.Getenv("C_INCLUDE_PATH"))...)
	for _, d := range dirs {
		if _, err := os.Stat(filepath.Join(d, name)); err == nil {
			return true
		}
	}
	return false
}

// identity is what of the tools goes into a build's key: the version lines of compiler and linker.
func (t toolchain) identity(ctx context.Context) (string, error) {
	tools := []string{t.cc, t.ld}
	if t.hostcc != t.cc {
		tools = append(tools, t.hostcc)
	}
	lines := make([]string, len(tools))
	g, ctx := errgroup.WithContext(ctx)
	for i, tool := range tools {
		g.Go(func() error {
			f := strings.Fields(tool)
			if len(f) == 0 {
				return blame.New(blame.Usage, "make: an empty CC=, LD= or HOSTCC=", "")
			}
			out, err := output(ctx, "/", nil, f[0], append(f[1:], "--version")...)
			if errors.Is(err, context.Canceled) {
				return interrupted("build")
			}
			if err != nil {
				return &blame.Error{Kind: blame.Infrastructure, Msg: "build: " + tool + " --version: " + cause(err), Err: err, Detail: string(out)}
			}
			lines[i], _, _ = strings.Cut(string(out), "\n")
			return nil
		})
	}
	err := g.Wait()
	return strings.Join(lines, "; "), err
}
