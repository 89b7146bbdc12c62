package debuginfo

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"kcatch/gdb/vmlinux"
	"kcatch/internal/ko"
)

// The bounds of what is read of modules for one text, which is hostile: it may name all of them.
const (
	maxCandidates = 8       // files of one name
	maxOpen       = 128     // modules
	maxOpenBytes  = 1 << 30 // and what they take in memory
	maxFailed     = 4096    // names that are none of a module here
)

var (
	errNoFile  = errors.New("no file of this module on this machine")
	errTooMany = errors.New("too many modules for one text")
)

// modules are those of a kernel, found and opened when they are asked for.
type modules struct {
	searched bool
	files    map[string][]string // by the module's name
	open     map[moduleKey]*vmlinux.File
	failed   map[moduleKey]error
	bytes    int
}

type moduleKey struct{ name, buildID string }

// module opens a module's file, laid out as if it were loaded. Errors: why there is none.
func (k *Kernel) module(name, buildID string) (*vmlinux.File, error) {
	m := &k.modules
	key := moduleKey{name, buildID}
	if f, ok := m.open[key]; ok {
		return f, nil
	}
	if err, ok := m.failed[key]; ok {
		return nil, err
	}
	if m.open == nil {
		m.open, m.failed = map[moduleKey]*vmlinux.File{}, map[moduleKey]error{}
	}
	if len(m.open) >= maxOpen || m.bytes >= maxOpenBytes || len(m.failed) >= maxFailed {
		return nil, errTooMany
	}
	f, err := k.openModule(key)
	if err != nil {
		m.failed[key] = err
		return nil, err
	}
	m.open[key] = f
	return f, nil
}

// openModule opens the first file that is the module's and has lines; the first without lines if there is no such.
func (k *Kernel) openModule(key moduleKey) (*vmlinux.File, error) {
	var bare *vmlinux.File
	err := errNoFile
	for _, path := range k.moduleFiles(key) {
		data, rerr := ko.Read(path)
		if rerr != nil {
			err = rerr
			continue
		}
		info, ierr := ko.InfoOf(data)
		if release := k.File.Release(); ierr == nil && release != "" && info.Release != "" && info.Release != release {
			err = fmt.Errorf("%s: a module of %s", path, info.Release)
			continue
		}
		size := len(data)
		f, oerr := vmlinux.OpenUnloadedModule(path, data, k.File)
		if oerr != nil {
			err = oerr
			continue
		}
		if has := f.BuildID(); key.buildID != "" && has != "" && has != key.buildID {
			err = fmt.Errorf("%s: of another build: its build id is %s", path, has)
			continue
		}
		k.modules.bytes += size
		if f.HasDWARF() {
			return f, nil
		}
		if bare == nil {
			bare = f
		}
	}
	if bare != nil {
		return bare, nil
	}
	return nil, err
}

// moduleFiles are the files that may be a module's, best first. Directories are searched when the first module is asked for.
func (k *Kernel) moduleFiles(key moduleKey) []string {
	var files []string
	if key.buildID != "" {
		files = append(files, filepath.Join(k.search.root(), buildIDFile(key.buildID)))
		for _, dir := range k.search.Caches {
			files = append(files, filepath.Join(dir, key.buildID, "debuginfo"))
		}
	}
	for i := 0; i < len(files); {
		if st, err := os.Stat(files[i]); err == nil && st.Mode().IsRegular() {
			i++
			continue
		}
		files = append(files[:i], files[i+1:]...)
	}
	m := &k.modules
	if !m.searched {
		m.searched, m.files = true, map[string][]string{}
		for _, dir := range k.search.moduleDirs(k.File.Path(), k.File.Release()) {
			found, _ := ko.Find(dir) // what could be listed before an error counts
			for _, f := range found {
				if list := m.files[f.Name()]; len(list) < maxCandidates {
					m.files[f.Name()] = append(list, f.Path)
				}
			}
		}
	}
	return append(files, m.files[ko.Name(key.name)]...)
}
