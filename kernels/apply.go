package kernels

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"kcatch/internal/blame"
)

// An overlayFile is what a patch makes of one file of the tree.
type overlayFile struct {
	Kind byte // kindFile, kindExec, kindLink (Data is the target) or kindGone
	Data []byte
}

// An overlay is the difference between a source tree and the same with the patches on it, by path.
type overlay map[string]overlayFile

func (o overlay) names() []string {
	names := make([]string, 0, len(o))
	for n := range o {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// An applier tries patches on copies of the files they name. Nothing of the tree is written; scratch holds the copies.
type applier struct {
	tree    *os.Root // the kernel tree, read only
	scratch string   // a private directory
	version version
	taken   map[string]byte // files copied into scratch so far -> their kind in the tree (kindGone: not there)
	n       int             // diffs written
}

// applyPatches puts the patches on tree in order and returns the difference. A patch that does not fit gives a Build error which names
// patch, file, hunk and reason; a file that is not a patch a Usage error.
func applyPatches(ctx context.Context, treeDir, scratch string, v version, patches []patchFile) (overlay, []Patch, error) {
	if len(patches) == 0 {
		return nil, nil, nil
	}
	tree, err := os.OpenRoot(treeDir)
	if err != nil {
		return nil, nil, infra("patch", treeDir, err)
	}
	defer tree.Close()
	a := &applier{tree: tree, scratch: filepath.Join(scratch, "tree"), version: v, taken: map[string]byte{}}
	if err := os.MkdirAll(a.scratch, 0o777); err != nil {
		return nil, nil, infra("patch", scratch, err)
	}
	var applied []Patch
	for i, p := range patches {
		done, err := a.patch(ctx, p, filepath.Join(scratch, fmt.Sprintf("mail-%d", i)))
		if err != nil {
			return nil, nil, err
		}
		applied = append(applied, done)
	}
	o, err := a.result()
	return o, applied, err
}

// patch applies the first form of p that fits.
func (a *applier) patch(ctx context.Context, p patchFile, mailDir string) (Patch, error) {
	var first error
	for _, form := range p.ordered(a.version) {
		diffs, err := formDiffs(ctx, p.Name, form, mailDir)
		if err != nil {
			return Patch{}, err
		}
		done := Patch{Name: p.Name, Path: form.Path}
		for i, d := range diffs {
			label := p.Name
			if len(diffs) > 1 {
				label = fmt.Sprintf("%s (mail %d of %d)", p.Name, i+1, len(diffs))
			}
			var files []string
			if files, err = a.diff(ctx, label, d); err != nil {
				break
			}
			done.Files = append(done.Files, files...)
		}
		if err == nil {
			sort.Strings(done.Files)
			done.Files = compact(done.Files)
			return done, nil
		}
		if first == nil {
			first = err
		}
		if k := blame.Of(err); k != blame.Build && k != blame.Usage {
			return Patch{}, err
		}
	}
	return Patch{}, first
}

// formDiffs returns a form's diffs: those of its mails, or the text itself.
func formDiffs(ctx context.Context, name string, form patchForm, mailDir string) ([][]byte, error) {
	if !isMail(form.Data) {
		return [][]byte{form.Data}, nil
	}
	return splitMail(ctx, mailDir, name, form.Data)
}

// checkPatch parses a patch without a tree: what Check can say before there is a source.
func checkPatch(ctx context.Context, p patchFile, scratch string) error {
	for _, form := range p.forms {
		diffs, err := formDiffs(ctx, p.Name, form, filepath.Join(scratch, "mail"))
		if err != nil {
			return err
		}
		for _, d := range diffs {
			if _, err := parseDiff(d); err != nil {
				return notAPatch(p.Name, err)
			}
		}
	}
	return nil
}

func notAPatch(name string, err error) error {
	return &blame.Error{
		Kind: blame.Usage, Msg: "patch: " + name + ": not a patch: " + err.Error(), Err: err,
		Hint: "a patch is a unified diff (git diff, diff -u) or an mbox (git format-patch)",
	}
}

// diff applies one diff to the copies in scratch and returns the files it changes.
func (a *applier) diff(ctx context.Context, name string, data []byte) ([]string, error) {
	files, err := parseDiff(data)
	if err != nil {
		return nil, notAPatch(name, err)
	}
	strip, err := a.strip(name, files)
	if err != nil {
		return nil, err
	}
	var names []string
	for _, f := range files {
		for _, n := range []string{f.Old, f.New} {
			rel, ok := stripped(n, strip)
			if !ok {
				if n != devNull {
					return nil, blame.New(blame.Usage, fmt.Sprintf("patch: %s: names a file outside the kernel tree: %s", name, clip(n)), "")
				}
				continue
			}
			if err := a.take(name, rel); err != nil {
				return nil, err
			}
			names = append(names, rel)
		}
	}
	sort.Strings(names)
	names = compact(names)
	a.n++
	file := filepath.Join(filepath.Dir(a.scratch), fmt.Sprintf("%d.diff", a.n))
	if err := os.WriteFile(file, data, 0o666); err != nil {
		return nil, infra("patch "+name, file, err)
	}
	git := func(args ...string) ([]byte, error) {
		args = append(append([]string{"apply", "-p" + strconv.Itoa(strip), "--whitespace=nowarn"}, args...), file)
		return output(ctx, a.scratch, gitEnv(a.scratch), "git", args...)
	}
	// Without --reject git changes all files or none, so that another form can be tried on the same copies.
	_, err = git()
	switch {
	case err == nil:
		return names, nil
	case ctx.Err() != nil:
		return nil, interrupted("patch " + name)
	}
	_, reverseErr := git("--reverse", "--check")
	out, err := git("--check", "-v")
	if ctx.Err() != nil {
		return nil, interrupted("patch " + name)
	}
	if err == nil {
		return nil, blame.New(blame.Infrastructure, "patch: "+name+": git apply: it fits and still was not applied", "")
	}
	return nil, a.refusal(name, files, strip, out, reverseErr == nil)
}

// strip finds how many directories the diff's names have before the tree's own: 1 for a/mm/x.c, as git and diff write it; 0 and more
// for diffs made elsewhere. The first number under which the tree has all the files that the diff changes is taken.
func (a *applier) strip(name string, files []fileDiff) (int, error) {
	for _, n := range []int{1, 0, 2, 3, 4} {
		found, all := 0, true
		for _, f := range files {
			if f.Old == devNull {
				continue
			}
			rel, ok := stripped(f.Old, n)
			if ok && a.exists(rel) {
				found++
			} else if len(f.Hunks) > 0 {
				all = false
			}
		}
		if all && found > 0 {
			return n, nil
		}
	}
	for _, f := range files {
		outside := f.New
		if f.Old != devNull {
			outside = f.Old
		}
		if _, ok := stripped(outside, 1); !ok {
			return 0, blame.New(blame.Usage, fmt.Sprintf("patch: %s: names a file outside the kernel tree: %s", name, clip(outside)),
				"paths in a patch are relative to the kernel tree behind one directory: a/mm/slub.c")
		}
	}
	return 1, nil
}

// exists asks scratch first, where an earlier patch may have made or deleted the file.
func (a *applier) exists(rel string) bool {
	if _, ok := a.taken[rel]; ok {
		_, err := os.Lstat(filepath.Join(a.scratch, rel))
		return err == nil
	}
	_, err := a.tree.Lstat(rel)
	return err == nil
}

// take copies a file of the tree into scratch, once.
func (a *applier) take(name, rel string) error {
	if _, ok := a.taken[rel]; ok {
		return nil
	}
	for dir := path.Dir(rel); dir != "."; dir = path.Dir(dir) {
		if st, err := a.tree.Lstat(dir); err == nil && st.Mode()&fs.ModeSymlink != 0 {
			return blame.New(blame.Build, fmt.Sprintf("patch: %s: %s: %s is a symbolic link", name, rel, dir), "name the file by its own path")
		}
	}
	f, err := readTreeFile(a.tree, rel)
	if errors.Is(err, fs.ErrNotExist) || err != nil && isNotDir(err) {
		a.taken[rel] = kindGone
		return nil
	}
	if err != nil {
		return &blame.Error{Kind: blame.Usage, Msg: fmt.Sprintf("patch: %s: %s: %s", name, rel, cause(err)), Err: err}
	}
	if err := writeOverlayFile(filepath.Join(a.scratch, rel), f); err != nil {
		return infra("patch "+name, a.scratch, err)
	}
	a.taken[rel] = f.Kind
	return nil
}

// result compares scratch with the tree.
func (a *applier) result() (overlay, error) {
	o := overlay{}
	scratch, err := os.OpenRoot(a.scratch)
	if err != nil {
		return nil, infra("patch", a.scratch, err)
	}
	defer scratch.Close()
	for rel, kind := range a.taken {
		now, err := readTreeFile(scratch, rel)
		switch {
		case errors.Is(err, fs.ErrNotExist) || err != nil && isNotDir(err):
			if kind != kindGone {
				o[rel] = overlayFile{Kind: kindGone}
			}
			continue
		case err != nil:
			return nil, infra("patch", a.scratch, err)
		}
		if kind == now.Kind {
			was, err := readTreeFile(a.tree, rel)
			if err != nil {
				return nil, infra("patch", rel, err)
			}
			if bytes.Equal(was.Data, now.Data) {
				continue
			}
		}
		o[rel] = now
	}
	return o, nil
}

// maxSource bounds one source file in bytes. The largest of 6.12 is a register header of 15 MB.
const maxSource = 256 << 20

func readTreeFile(root *os.Root, rel string) (overlayFile, error) {
	st, err := root.Lstat(rel)
	if err != nil {
		return overlayFile{}, err
	}
	switch {
	case st.Mode()&fs.ModeSymlink != 0:
		target, err := root.Readlink(rel)
		return overlayFile{Kind: kindLink, Data: []byte(target)}, err
	case !st.Mode().IsRegular():
		return overlayFile{}, errors.New("not a regular file")
	case st.Size() > maxSource:
		return overlayFile{}, fmt.Errorf("more than %d MB", maxSource>>20)
	}
	f, err := root.Open(rel)
	if err != nil {
		return overlayFile{}, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxSource))
	kind := kindFile
	if st.Mode()&0o100 != 0 {
		kind = kindExec
	}
	return overlayFile{Kind: kind, Data: data}, err
}

// refusal turns what git says of a diff that does not fit into one line: patch, file, hunk, reason.
//
// git apply --check -v (2.39; apply.c) names only the first hunk of a file that it could not place, by the line number in the diff, and
// prints the lines it looked for; which line of them is missing is found here.
func (a *applier) refusal(name string, files []fileDiff, strip int, out []byte, reversed bool) error {
	e := &blame.Error{Kind: blame.Build, Detail: strings.TrimRight(string(out), "\n")}
	if reversed {
		e.Msg = fmt.Sprintf("patch: %s: %s: already applied: the tree has what it adds", name, firstFile(files, strip))
		e.Hint = "leave the patch out, or name an unpatched tree"
		e.Detail = ""
		return e
	}
	var reasons []string
	for _, f := range files {
		reasons = append(reasons, a.fileReasons(f, strip)...)
	}
	gits := len(reasons) == 0
	if gits { // a reason of git's own: binary without its index line, a broken line
		reason := "does not apply"
		for l := range strings.Lines(string(out)) {
			if l, ok := strings.CutPrefix(strings.TrimSpace(l), "error: "); ok && !strings.HasPrefix(l, "while searching for") {
				reason = clip(l)
				break
			}
		}
		if strings.Contains(reason, "corrupt patch") || strings.Contains(reason, "No valid patches") || strings.Contains(reason, "unrecognized input") {
			return notAPatch(name, errors.New(reason))
		}
		reasons = []string{reason}
	}
	e.Msg = "patch: " + name + ": " + reasons[0]
	if n := len(reasons) - 1; n > 0 {
		e.Msg += fmt.Sprintf(" (and %d more)", n)
	}
	if !gits {
		e.Detail = strings.Join(reasons[1:], "\n")
	}
	e.Hint = "the patch was made for another state of this file; rebase it, or name the tree that it was made for"
	return e
}

func firstFile(files []fileDiff, strip int) string {
	for _, f := range files {
		for _, n := range []string{f.New, f.Old} {
			if rel, ok := stripped(n, strip); ok {
				return rel
			}
		}
	}
	return "?"
}

// fileReasons says what keeps one file's part from fitting on scratch: "mm/slub.c: hunk 2 (@@ -10,7 +10,8 @@): context line not found".
func (a *applier) fileReasons(f fileDiff, strip int) []string {
	if f.Old == devNull {
		if rel, ok := stripped(f.New, strip); ok && a.exists(rel) {
			return []string{rel + ": already there, and the patch makes it a new file"}
		}
		return nil
	}
	rel, ok := stripped(f.Old, strip)
	if !ok {
		return nil
	}
	data, err := os.ReadFile(filepath.Join(a.scratch, rel))
	if err != nil {
		return []string{rel + ": the tree has no such file"}
	}
	lines := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
	var reasons []string
	from := 0
	for i, h := range f.Hunks {
		why := ""
		if at := findFrom(h, lines, from); at < 0 {
			why = explain(h, lines)
		} else {
			from = at + len(h.Old)
			why = misplaced(h, at, lines)
		}
		if why != "" {
			reasons = append(reasons, fmt.Sprintf("%s: hunk %d of %d (%s): %s", rel, i+1, len(f.Hunks), h.Header, why))
		}
	}
	return reasons
}

// findFrom finds a hunk's old lines at or after an index.
func findFrom(h hunk, lines []string, from int) int {
	if len(h.Old) == 0 {
		return from
	}
	if at := find(h.Old, lines[min(from, len(lines)):]); at >= 0 {
		return from + at
	}
	return -1
}

// compact removes repeated names from a sorted list.
func compact(s []string) []string {
	var out []string
	for i, v := range s {
		if i == 0 || v != s[i-1] {
			out = append(out, v)
		}
	}
	return out
}
