package kernels

import (
	"bufio"
	"bytes"
	"os"
	"slices"
	"strings"
)

// Adds reports whether the patch adds a line that contains text to file (relative to the kernel tree). White space is
// folded on both sides, so that a line of source can be asked for as a person writes it. A patch file that has gone
// meanwhile adds nothing.
func (p Patch) Adds(file, text string) bool {
	want := strings.Join(strings.Fields(text), " ")
	if want == "" || !slices.Contains(p.Files, file) {
		return false
	}
	diff, err := embedded.ReadFile(p.Path)
	if err != nil {
		if diff, err = os.ReadFile(p.Path); err != nil {
			return false
		}
	}
	return adds(diff, file, want)
}

// adds looks through the added lines of one file's part of a diff.
func adds(diff []byte, file, want string) bool {
	inside := false
	lines := bufio.NewScanner(bytes.NewReader(diff))
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		l := lines.Text()
		if path, ok := strings.CutPrefix(l, "+++ "); ok {
			path, _, _ = strings.Cut(path, "\t")
			inside = path == file || strings.HasSuffix(path, "/"+file)
			continue
		}
		if added, ok := strings.CutPrefix(l, "+"); ok && inside && strings.Contains(strings.Join(strings.Fields(added), " "), want) {
			return true
		}
	}
	return false
}
