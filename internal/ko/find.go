package ko

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// File is a module's file on the host.
type File struct {
	Rel  string // its path below the directory that was searched, with slashes
	Path string // as it can be opened
	Size int64  // bytes, as it lies there
	Time int64  // of its last change, in nanoseconds
}

// Name is the module's name, as the kernel shows it: without directory and suffix, with underscores.
func (f File) Name() string { return Name(f.Rel) }

// Plain is Rel without the suffix of a compression.
func (f File) Plain() string { return Plain(f.Rel) }

// Name is the name of the module in a file, or of a module as somebody wrote it: "snd-hda.ko.xz" is snd_hda.
func Name(path string) string {
	name := path[strings.LastIndexByte(path, '/')+1:]
	name, _, _ = strings.Cut(name, ".")
	return strings.ReplaceAll(name, "-", "_")
}

// Plain is a module file's name without the suffix of a compression: "a/b.ko.xz" is a/b.ko.
func Plain(path string) string {
	for _, suffix := range [...]string{".xz", ".zst", ".gz"} {
		if p, ok := strings.CutSuffix(path, suffix); ok {
			return p
		}
	}
	return path
}

// maxFiles bounds a search. An allmodconfig kernel has about 10,000 modules.
const maxFiles = 50000

// Find lists the modules below dir, by name, at most 50,000. Links to directories are not followed: in /lib/modules/RELEASE
// "build" and "source" are such. "x.ko.debug", as some distributions call a module's debug information, counts as one.
func Find(dir string) ([]File, error) {
	root, err := filepath.EvalSymlinks(dir)
	if err != nil {
		return nil, err
	}
	var files []File
	err = filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := strings.TrimSuffix(Plain(d.Name()), ".debug")
		if d.IsDir() || !strings.HasSuffix(name, ".ko") {
			return nil
		}
		st, err := os.Stat(path)
		if err != nil || !st.Mode().IsRegular() {
			return nil // a link to nowhere, or to a directory
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		files = append(files, File{Rel: filepath.ToSlash(rel), Path: path, Size: st.Size(), Time: st.ModTime().UnixNano()})
		if len(files) == maxFiles {
			return fs.SkipAll
		}
		return nil
	})
	return files, err
}
