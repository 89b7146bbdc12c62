package debuginfo

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"kcatch/gdb/trace"
	"kcatch/gdb/vmlinux"
	"kcatch/internal/blame"
)

// Search is where debug information may be. The zero value is where packages put it.
type Search struct {
	// Root is the directory that stands for "/"; empty for the machine's own.
	Root string
	// Caches are directories of debuginfod's client, as BUILDID/debuginfo.
	Caches []string
	// Modules is a directory with modules that is looked into first, or empty.
	Modules string
}

// Vmlinux opens the vmlinux of a kernel: the first that is there, is of this kernel and has debug information; else the first
// without. Errors: a blame.Usage that says whose vmlinux is missing, or why the last that was there does not serve.
func (s Search) Vmlinux(id trace.Identity) (*vmlinux.File, error) {
	if id == (trace.Identity{}) {
		return nil, blame.New(blame.Usage, "the text does not say which kernel it is from", "give its vmlinux: --vmlinux ELF")
	}
	var bare *vmlinux.File // of the kernel, but without debug information
	var last error
	for _, path := range s.candidates(id) {
		if st, err := os.Stat(path); err != nil || !st.Mode().IsRegular() {
			continue
		}
		f, err := vmlinux.Open(path)
		if err != nil {
			last = err
			continue
		}
		if why := another(f, id); why != "" {
			last = blame.New(blame.Usage, path+": "+why, hint(id))
			_ = f.Close()
			continue
		}
		if f.HasDWARF() {
			if bare != nil {
				_ = bare.Close()
			}
			return f, nil
		}
		if bare == nil {
			bare = f
		} else {
			_ = f.Close()
		}
	}
	if bare != nil {
		return bare, nil
	}
	if last != nil {
		return nil, last
	}
	return nil, blame.New(blame.Usage, "no vmlinux of "+told(id)+" on this machine", hint(id))
}

// told is a kernel as a person calls it.
func told(id trace.Identity) string {
	switch {
	case id.Release == "":
		return "build id " + id.BuildID
	case id.BuildID == "":
		return id.Release
	}
	return id.Release + " (build id " + id.BuildID + ")"
}

func hint(id trace.Identity) string {
	if id.Release == "" {
		return "give it: --vmlinux ELF"
	}
	return fmt.Sprintf("give it: --vmlinux ELF; or install its debug package (Debian: linux-image-%s-dbg)", id.Release)
}

// another says why a file is not of a kernel; empty when it may be.
func another(f *vmlinux.File, id trace.Identity) string {
	if has := f.BuildID(); id.BuildID != "" && has != "" {
		if has != id.BuildID {
			return "of another build: its build id is " + has
		}
		return ""
	}
	if has := f.Release(); id.Release != "" && has != "" && has != id.Release {
		return "of another kernel, " + has
	}
	if has := Version(f); id.Version != "" && has != "" && has != id.Version {
		return "of another build: it is " + has + ", the text is of " + id.Version
	}
	return ""
}

// Version is which build of its release a vmlinux is, "#13", as trace.Identity has it; or empty.
func Version(f *vmlinux.File) string {
	_, banner, ok := f.Banner()
	if !ok {
		return ""
	}
	said, _ := trace.Read(banner)
	return said.Version
}

// candidates are the files that may be a kernel's vmlinux, best first. An Identity's release and build id are safe in names.
func (s Search) candidates(id trace.Identity) []string {
	var all []string
	add := func(path string) { all = append(all, filepath.Join(s.root(), path)) }
	if id.BuildID != "" {
		add(buildIDFile(id.BuildID))
		for _, dir := range s.Caches {
			all = append(all, filepath.Join(dir, id.BuildID, "debuginfo"))
		}
	}
	if id.Release != "" {
		add("/usr/lib/debug/boot/vmlinux-" + id.Release)
		add("/usr/lib/debug/lib/modules/" + id.Release + "/vmlinux")
		add("/lib/modules/" + id.Release + "/build/vmlinux")
		add("/lib/modules/" + id.Release + "/vmlinux")
		add("/usr/lib/debug/boot/vmlinux-" + id.Release + ".debug")
		add("/boot/vmlinux-" + id.Release)
	}
	return all
}

func (s Search) root() string {
	if s.Root == "" {
		return "/"
	}
	return s.Root
}

// buildIDFile is gdb's name for the debug information of a build id: two digits for a directory, then the others.
func buildIDFile(id string) string {
	return "/usr/lib/debug/.build-id/" + id[:2] + "/" + id[2:] + ".debug"
}

// ModuleDirs are the directories that may have the modules of a kernel with their debug information, best first: dir, which may be
// empty; then where a -dbg package has them, beside the vmlinux (its path) or installed; then the tree that the vmlinux was
// built in. release may be empty, and then less is found.
func ModuleDirs(dir, vmlinux, release string) []string {
	return Search{Modules: dir}.moduleDirs(vmlinux, release)
}

func (s Search) moduleDirs(vmlinux, release string) []string {
	var dirs []string
	if s.Modules != "" {
		dirs = append(dirs, s.Modules)
	}
	vmlinux, err := filepath.EvalSymlinks(vmlinux)
	if err != nil {
		return dirs
	}
	beside := filepath.Dir(vmlinux)
	named := release != "" && filepath.IsLocal(release) && !strings.Contains(release, "/")
	if named {
		// Debian: usr/lib/debug/boot/vmlinux-RELEASE and usr/lib/debug/lib/modules/RELEASE; Fedora has the vmlinux there too.
		dirs = append(dirs, filepath.Join(filepath.Dir(beside), "lib/modules", release), filepath.Join(s.root(), "/usr/lib/debug/lib/modules", release))
		if filepath.Base(beside) == release {
			dirs = append(dirs, beside)
		}
	}
	if _, err := os.Stat(filepath.Join(beside, "modules.order")); err == nil {
		dirs = append(dirs, beside)
	}
	if named {
		dirs = append(dirs, filepath.Join(s.root(), "/lib/modules", release)) // of a kernel that was built here
	}
	return dirs
}
