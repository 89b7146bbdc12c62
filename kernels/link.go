package kernels

import (
	"fmt"
	"os"
	"path"
	"path/filepath"

	"kcatch/internal/blame"
)

// Bounds of what is taken from directories outside the tree that links in it lead to: a driver that is developed elsewhere, not a disk.
const (
	maxOutsideFiles = 50_000
	maxOutsideBytes = 1 << 30
)

// leadsOut reports whether the link rel, in the directory dir of the tree, leads to a directory outside, whose files then count as the tree's:
// a change there must give another kernel. A link to what holds the tree, or the link itself, stays a link.
func (s *scanner) leadsOut(dir, rel string) bool {
	real, err := filepath.EvalSymlinks(filepath.Join(s.root, rel))
	if err != nil {
		return false
	}
	if st, err := os.Stat(real); err != nil || !st.IsDir() {
		return false
	}
	here, err := filepath.EvalSymlinks(filepath.Join(s.root, dir))
	return err == nil && !inside(real, s.root) && !inside(s.root, real) && !inside(here, real)
}

// inside reports whether name is dir or below it.
func inside(name, dir string) bool {
	rel, err := filepath.Rel(dir, name)
	return err == nil && filepath.IsLocal(rel)
}

// linkText is the target that a link gets in a copy of the tree: relative when it stays inside, else absolute.
func linkText(root, rel string) (string, error) {
	text, err := os.Readlink(filepath.Join(root, rel))
	if err != nil {
		return "", err
	}
	dir := path.Dir(rel)
	if filepath.IsAbs(text) {
		if !inside(text, root) {
			return text, nil
		}
		return filepath.Rel(filepath.Join(root, dir), text)
	}
	if !filepath.IsLocal(filepath.Join(dir, text)) {
		return filepath.Join(root, dir, text), nil
	}
	return text, nil
}

func tooMuchOutside(root, rel string) error {
	return &blame.Error{Kind: blame.Usage,
		Msg:  fmt.Sprintf("tree: %s: reached by a link that leaves the tree, to more than %d files or %d GB", filepath.Join(root, rel), maxOutsideFiles, maxOutsideBytes>>30),
		Hint: "remove the link, or name it in a .gitignore, when no kernel is built from what is there"}
}
