package smoke

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"kcatch/harness"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// ResultName is the result's file at the top of a run's directory.
const ResultName = "smoke.json"

// defaultKeep is how many runs without an Out of their own are kept.
const defaultKeep = 10

// runsDir is where such runs are, and what was learnt from them.
func runsDir() (string, error) {
	state, err := harness.StateDir()
	if err != nil {
		return "", &blame.Error{Kind: blame.Infrastructure, Msg: "smoke: " + err.Error(), Hint: "name a directory with --out", Err: err}
	}
	return filepath.Join(state, "smoke"), nil
}

// outDir makes the directory of a run: the request's, or a new one in the user's state directory, of which the oldest are removed.
func outDir(req *Request, now time.Time) (string, error) {
	dir := req.Out
	if dir == "" {
		runs, err := runsDir()
		if err != nil {
			return "", err
		}
		keep := req.Keep
		if keep == 0 {
			keep = defaultKeep
		}
		harness.Prune(runs, keep-1)
		dir = filepath.Join(runs, fmt.Sprintf("%s-%d", now.Format("20060102-150405.000"), os.Getpid()))
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", diskError(err)
	}
	return filepath.Abs(dir)
}

// tryName is a directory of a cell's boots after the first.
var tryName = regexp.MustCompile(`^try-[0-9]+$`)

// cellDir is the directory of a cell.
func cellDir(out, cell string) string { return filepath.Join(out, filepath.FromSlash(cell)) }

// bootDir is the directory of a cell's n-th boot, from 1.
func bootDir(out, cell string, n int) string {
	if n == 1 {
		return cellDir(out, cell)
	}
	return filepath.Join(cellDir(out, cell), fmt.Sprintf("try-%d", n))
}

// forget removes from a directory that was used before what this run might not write over: its result, and the boots of a cell after
// the first.
func forget(out string, cells []Cell) error {
	if err := os.Remove(filepath.Join(out, ResultName)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return diskError(err)
	}
	for i := range cells {
		dir := cellDir(out, cells[i].Name)
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // none yet, or no directory: whoever writes there will say so
		}
		for _, e := range entries {
			if tryName.MatchString(e.Name()) {
				if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
					return diskError(err)
				}
			}
		}
	}
	return nil
}

// taken are names that a boot or a run gives to files of its own.
var taken = []string{ResultName, "console.log", "dmesg.log", "qemu.sh", "report.txt", "result.json", "vmcore", "initrd.cpio", "gdb.sock", "exceptions.log"}

// checkName refuses a cell's name that is no directory of its own.
func checkName(name string) error {
	refuse := func(cause string) error { return blame.New(blame.Usage, fmt.Sprintf("cell %q: %s", name, cause), "") }
	if strings.TrimLeft(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_/") != "" || len(name) > 200 {
		return refuse("want at most 200 letters, digits, . - _ and /")
	}
	for _, part := range strings.Split(name, "/") {
		switch {
		case part == "" || part == "." || part == "..":
			return refuse("a part of it is no name of a directory")
		case tryName.MatchString(part), slices.Contains(taken, part):
			return refuse(part + " is a name that kcatch gives itself")
		}
	}
	return nil
}

// save writes the result to the top of the run's directory.
func save(out string, s *verdict.Smoke) error {
	path := filepath.Join(out, ResultName)
	f, err := os.Create(path)
	if err != nil {
		return diskError(err)
	}
	err = report.SmokeJSON(f, s)
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = os.Remove(path) // half a result misleads
		return diskError(err)
	}
	return nil
}

// diskError says what to do about a file that could not be written.
func diskError(err error) error {
	hint := "give another directory with --out"
	if errors.Is(err, syscall.ENOSPC) {
		hint = "the disk is full; free some space, or give another directory with --out"
	}
	return &blame.Error{Kind: blame.Infrastructure, Msg: "smoke: " + err.Error(), Hint: hint, Err: err}
}
