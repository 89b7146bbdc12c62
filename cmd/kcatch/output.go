package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"kcatch/internal/blame"
)

// checkOutputs refuses an --out or a --json that cannot be written, before the minutes of a build and not after them.
func checkOutputs(out, json string) error {
	if out != "" {
		if err := writableDir("--out", out); err != nil {
			return err
		}
	}
	return checkFile("--json", json)
}

// checkFile refuses the file of a flag that cannot be written; "-" is standard output, and none nothing.
func checkFile(flag, name string) error {
	if name == "" || name == "-" {
		return nil
	}
	st, err := os.Stat(name)
	switch {
	case err == nil && st.IsDir():
		return blame.New(blame.Usage, flag+": "+name+": is a directory", "name a file, or - for standard output")
	case err == nil && syscall.Access(name, writeAccess) != nil:
		return blame.New(blame.Usage, flag+": "+name+": may not be written", "")
	case err == nil:
		return nil
	}
	parent := filepath.Dir(name)
	if st, err := os.Stat(parent); err != nil || !st.IsDir() {
		return blame.New(blame.Usage, flag+": "+parent+": no such directory", "name a file in a directory that exists, or - for standard output")
	}
	return writableDir(flag, parent)
}

// checkTwo refuses one file for two flags: the second would be written over the first. A device, as /dev/null, can take both; that
// standard output is one is the verb's to say.
func checkTwo(flag, name, other, second string) error {
	if name == "" || name == "-" || second == "" || second == "-" {
		return nil
	}
	a, aerr := os.Stat(name)
	b, berr := os.Stat(second)
	same := aerr == nil && berr == nil && os.SameFile(a, b)
	if aerr != nil && berr != nil { // neither is there yet
		x, xerr := filepath.Abs(name)
		y, yerr := filepath.Abs(second)
		same = xerr == nil && yerr == nil && x == y
	}
	if !same || aerr == nil && a.Mode()&fs.ModeDevice != 0 {
		return nil
	}
	return blame.New(blame.Usage, flag+" and "+other+": "+second+": is the same file", "name another file for one of them")
}

const writeAccess = 2 // W_OK, access(2)

// writableDir looks whether dir is a directory that may be written to, or can be made one.
func writableDir(flag, dir string) error {
	for at := filepath.Clean(dir); ; at = filepath.Dir(at) {
		st, err := os.Stat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist) && at != filepath.Dir(at):
			continue
		case err == nil && !st.IsDir(), errors.Is(err, syscall.ENOTDIR):
			return blame.New(blame.Usage, flag+": "+dir+": "+at+" is not a directory", "")
		case err != nil:
			return &blame.Error{Kind: blame.Usage, Msg: flag + ": " + err.Error(), Err: err}
		case syscall.Access(at, writeAccess) != nil:
			return blame.New(blame.Usage, flag+": "+dir+": "+at+" may not be written to", "")
		}
		return nil
	}
}
