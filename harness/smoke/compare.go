package smoke

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"kcatch/harness/timeline"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// Compare says what is slower in b than in a. Each is a file that --json of boot, survey or smoke wrote, or a directory of such files:
// then their boots come together, cell by cell, and the more there are the less is chance. An error is the user's.
func Compare(a, b string) (verdict.Comparison, error) {
	sa, err := readSide(a)
	if err != nil {
		return verdict.Comparison{}, err
	}
	sb, err := readSide(b)
	if err != nil {
		return verdict.Comparison{}, err
	}
	return timeline.Compare(sa, sb), nil
}

// Bounds of what is read of one side.
const (
	maxFiles    = 1000
	maxFileSize = 256 << 20 // bytes
)

func readSide(path string) (timeline.Side, error) {
	st, err := os.Stat(path)
	if err != nil {
		return timeline.Side{}, unreadable(path, err)
	}
	if !st.IsDir() {
		return readFile(path)
	}
	files, err := filepath.Glob(filepath.Join(escaped(path), "*.json"))
	if err != nil {
		return timeline.Side{}, unreadable(path, err)
	}
	slices.Sort(files)
	var sides []timeline.Side
	for _, f := range files[:min(len(files), maxFiles)] {
		s, err := readFile(f)
		if err != nil {
			return s, err
		}
		sides = append(sides, s)
	}
	if len(sides) == 0 {
		return timeline.Side{}, blame.New(blame.Usage, "--compare "+path+": the directory has no *.json", "give files that --json wrote, or a directory of them")
	}
	return timeline.Join(path, sides...), nil
}

// escaped is a directory's name as a pattern that matches it alone.
func escaped(dir string) string {
	var out []byte
	for _, c := range []byte(dir) {
		if c == '*' || c == '?' || c == '[' || c == '\\' {
			out = append(out, '\\')
		}
		out = append(out, c)
	}
	return string(out)
}

func readFile(path string) (timeline.Side, error) {
	st, err := os.Stat(path)
	if err == nil && st.Size() > maxFileSize {
		return timeline.Side{}, blame.New(blame.Usage, "--compare "+path+": is too large for a result", "give what --json wrote")
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return timeline.Side{}, unreadable(path, err)
	}
	return timeline.Decode(path, data)
}

func unreadable(path string, err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		err = p.Err
	}
	return &blame.Error{Kind: blame.Usage, Msg: "--compare " + path + ": " + err.Error(), Hint: "give what --json of kcatch boot, survey or smoke wrote", Err: err}
}
