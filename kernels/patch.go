package kernels

import (
	"embed"
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

//go:embed patches
var embedded embed.FS

// Patch is a patch as it went into a build.
type Patch struct {
	// Name is the embedded patch's name, or the file's base name.
	Name string `json:"name"`
	// Path is the file it came from; for an embedded patch its path in kernels/ ("patches/pgflags-refcount/6.9-.diff").
	Path string `json:"path"`
	// Files are the files it changes, relative to the kernel tree, sorted.
	Files []string `json:"files"`
}

// PatchInfo describes an embedded patch.
type PatchInfo struct {
	Name    string
	Asserts string // one sentence
}

// Patches lists the embedded patches by name.
func Patches() []PatchInfo {
	dirs, _ := fs.ReadDir(embedded, "patches") // an embedded directory cannot fail
	var list []PatchInfo
	for _, d := range dirs {
		if !d.IsDir() {
			continue
		}
		info := PatchInfo{Name: d.Name()}
		readme, _ := embedded.ReadFile(path.Join("patches", d.Name(), "README.md"))
		for l := range strings.Lines(string(readme)) {
			if l = strings.TrimSpace(l); l != "" && !strings.HasPrefix(l, "#") {
				info.Asserts = l
				break
			}
		}
		list = append(list, info)
	}
	return list
}

// A patchFile is a patch as it was named, read into memory.
type patchFile struct {
	Name  string
	forms []patchForm // tried in order; a file from outside has one
}

// A patchForm is one text of a patch. An embedded patch has one for each range of versions [from, to).
type patchForm struct {
	Path     string
	Data     []byte
	from, to version
}

// readPatch finds a patch by name or file and reads it. It does not look into the text.
func readPatch(name string) (patchFile, error) {
	if !strings.ContainsAny(name, "/.") {
		if p, ok := embeddedPatch(name); ok {
			return p, nil
		}
	}
	f, err := os.Open(name)
	if err != nil {
		e := &blame.Error{Kind: blame.Usage, Msg: "patch: " + name + ": " + cause(err), Err: err}
		if errors.Is(err, fs.ErrNotExist) {
			e.Msg, e.Hint = "patch: "+name+": no such file, and no patch of that name", "patches: "+strings.Join(patchNames(), ", ")+"; or a diff or mbox file"
		}
		return patchFile{}, e
	}
	defer f.Close()
	if st, err := f.Stat(); err == nil && st.IsDir() {
		return patchFile{}, blame.New(blame.Usage, "patch: "+name+": is a directory", "name each patch file with a --patch of its own")
	}
	data, err := io.ReadAll(io.LimitReader(f, maxDiff+1))
	if err != nil {
		return patchFile{}, &blame.Error{Kind: blame.Usage, Msg: "patch: " + name + ": " + cause(err), Err: err}
	}
	if len(data) > maxDiff {
		return patchFile{}, blame.New(blame.Usage, fmt.Sprintf("patch: %s: more than %d MB", name, maxDiff>>20), "")
	}
	abs, err := filepath.Abs(name)
	if err != nil {
		abs = name
	}
	return patchFile{Name: filepath.Base(name), forms: []patchForm{{Path: abs, Data: data}}}, nil
}

func embeddedPatch(name string) (patchFile, bool) {
	dir := path.Join("patches", name)
	files, err := fs.ReadDir(embedded, dir)
	if err != nil {
		return patchFile{}, false
	}
	p := patchFile{Name: name}
	for _, f := range files {
		base, ok := strings.CutSuffix(f.Name(), ".diff")
		if !ok {
			continue
		}
		data, _ := embedded.ReadFile(path.Join(dir, f.Name()))
		from, to, _ := strings.Cut(base, "-")
		p.forms = append(p.forms, patchForm{Path: path.Join(dir, f.Name()), Data: data, from: parseVersion(from), to: parseVersion(to)})
	}
	return p, len(p.forms) > 0
}

func patchNames() []string {
	var names []string
	for _, p := range Patches() {
		names = append(names, p.Name)
	}
	return names
}

// ordered returns the forms with those made for v first.
func (p patchFile) ordered(v version) []patchForm {
	forms := append([]patchForm(nil), p.forms...)
	sort.SliceStable(forms, func(i, j int) bool { return forms[i].covers(v) && !forms[j].covers(v) })
	return forms
}

func (f patchForm) covers(v version) bool {
	return !v.before(f.from) && (f.to == version{} || v.before(f.to))
}

// A version is a kernel's VERSION and PATCHLEVEL.
type version struct{ major, minor int }

func (v version) before(w version) bool {
	return v.major < w.major || v.major == w.major && v.minor < w.minor
}

func (v version) String() string { return fmt.Sprintf("%d.%d", v.major, v.minor) }

func parseVersion(s string) (v version) {
	major, minor, _ := strings.Cut(s, ".")
	v.major, _ = strconv.Atoi(major)
	v.minor, _ = strconv.Atoi(minor)
	return v
}
