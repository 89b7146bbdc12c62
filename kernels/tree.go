package kernels

import (
	"bufio"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"kcatch/internal/blame"
)

// treeVersion checks that dir is a kernel tree that can make an x86 kernel, and returns the version its Makefile names. The error
// is a usage error which says what is missing.
func treeVersion(dir string) (version, error) { return treeVersionAs(dir, dir) }

// treeVersionAs is treeVersion of what the user has named otherwise: an archive.
func treeVersionAs(dir, named string) (version, error) {
	bad := func(why, hint string) (version, error) {
		return version{}, blame.New(blame.Usage, "tree: "+named+": not a kernel tree: "+why, hint)
	}
	const hint = "TREE is debian-6.1, debian-6.12, a directory with a kernel source, or a tarball of one"
	v, err := makefileVersion(filepath.Join(dir, "Makefile"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return bad("it has no Makefile", hint)
	case errors.Is(err, errNoVersion):
		return bad("its Makefile names no VERSION and PATCHLEVEL", hint)
	case err != nil:
		return version{}, &blame.Error{Kind: blame.Usage, Msg: "tree: " + named + ": " + cause(err), Err: err}
	}
	for _, need := range []string{"Kbuild", "Kconfig", "arch/x86/Makefile", "scripts/Kbuild.include"} {
		if _, err := os.Stat(filepath.Join(dir, need)); err != nil {
			return bad("it has no "+need, hint)
		}
	}
	return v, nil
}

var errNoVersion = errors.New("no version")

// makefileVersion reads the first lines of the top Makefile:
//
//	VERSION = 6
//	PATCHLEVEL = 1
func makefileVersion(name string) (version, error) {
	f, err := os.Open(name)
	if err != nil {
		return version{}, err
	}
	defer f.Close()
	v := version{-1, -1}
	s := bufio.NewScanner(io.LimitReader(f, 1<<20))
	for s.Scan() && (v.major < 0 || v.minor < 0) {
		name, value, ok := strings.Cut(s.Text(), "=")
		n, err := strconv.Atoi(strings.TrimSpace(value))
		if !ok || err != nil || n < 0 {
			continue
		}
		switch strings.TrimSpace(name) {
		case "VERSION":
			v.major = n
		case "PATCHLEVEL":
			v.minor = n
		}
	}
	if err := s.Err(); err != nil && !errors.Is(err, bufio.ErrTooLong) {
		return version{}, err
	}
	if v.major < 0 || v.minor < 0 {
		return version{}, errNoVersion
	}
	return v, nil
}
