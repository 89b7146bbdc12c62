package images

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"

	"kcatch/internal/blame"
	"kcatch/internal/ko"
)

// ModuleTree is a directory of kernel modules on the host, looked at but not read: a /lib/modules/RELEASE tree, or any
// directory with .ko files below it. Make one with [FindModules].
type ModuleTree struct {
	Dir     string
	Release string // the kernel's that they are for, as uname -r says it
	Files   []ko.File
}

// FindModules looks what modules are below dir, and for which kernel they are by the first of them. What is no such
// directory is a usage error of one line.
func FindModules(dir string) (ModuleTree, error) {
	refuse := func(cause, hint string) (ModuleTree, error) {
		return ModuleTree{}, blame.New(blame.Usage, "--modules: "+dir+": "+cause, hint)
	}
	files, err := ko.Find(dir)
	var pe *fs.PathError
	switch {
	case errors.As(err, &pe):
		return refuse(pe.Err.Error(), "")
	case err != nil:
		return refuse(err.Error(), "")
	}
	files = slices.DeleteFunc(files, func(f ko.File) bool { return !strings.HasSuffix(f.Plain(), ".ko") })
	if len(files) == 0 {
		return refuse("no modules in it (*.ko, *.ko.xz, *.ko.zst, *.ko.gz)", "give /lib/modules/RELEASE, or the directory that a module was built in")
	}
	t := ModuleTree{Dir: dir, Files: files}
	_, info, err := readModule(files[0])
	if err != nil {
		return refuse(err.Error(), "")
	}
	if info.Release == "" {
		return refuse(files[0].Rel+": it does not say for which kernel it is (no vermagic)", "it is an object on its way to a module; make modules ends it")
	}
	t.Release = info.Release
	return t, nil
}

func readModule(f ko.File) ([]byte, ko.Info, error) {
	data, err := ko.Read(f.Path)
	if err != nil {
		return nil, ko.Info{}, err
	}
	info, err := ko.InfoOf(data)
	if err != nil {
		return nil, ko.Info{}, fmt.Errorf("%s: %w", f.Rel, err)
	}
	return data, info, nil
}

// packed is a module on its way into the guest.
type packed struct {
	path string // below lib/modules/RELEASE
	name string
	data []byte
	info ko.Info
	err  error
}

// Pack makes an archive with the tree's modules in /lib/modules/RELEASE, and with what busybox's modprobe and the kernel's
// own requests for modules need: modules.dep, modules.alias, /sbin/modprobe. It is made to follow the archive of [Build].
// Debug information stays out. The modules are unpacked, as long as they take no more than room bytes of the guest; else
// they are gzipped, which busybox unpacks by itself; when that is too much too, it is a usage error. Equal files give equal
// bytes.
func (t ModuleTree) Pack(room uint64) ([]byte, error) {
	mods := make([]packed, len(t.Files))
	parallel(len(mods), func(i int) {
		m := &mods[i]
		m.path, m.name = t.guestPath(t.Files[i].Plain()), t.Files[i].Name()
		if m.data, m.info, m.err = readModule(t.Files[i]); m.err == nil {
			m.data = ko.Strip(m.data)
		}
	})
	for _, m := range mods {
		if m.err != nil {
			return nil, blame.New(blame.Usage, "--modules: "+m.err.Error(), "")
		}
		if m.info.Release != t.Release {
			return nil, blame.New(blame.Usage, fmt.Sprintf("--modules: %s: has modules of two kernels, %s and %s", t.Dir, t.Release, m.info.Release),
				"give the directory of one")
		}
	}
	plain := total(mods)
	if plain > room {
		parallel(len(mods), func(i int) { mods[i].compress() })
	}
	if size := total(mods); size > room {
		return nil, blame.New(blame.Usage, fmt.Sprintf("--modules: %s: %d MiB of modules, %d MiB gzipped, do not fit into the guest's memory (room for %d MiB)",
			t.Dir, plain>>20, size>>20, room>>20), "give more --memory, or a directory with only the modules that are needed")
	}
	return t.archive(mods)
}

// guestPath is a module's place below lib/modules/RELEASE: where it is in its own tree, of which DIR may be a part or which
// may be a part of DIR (the root of an unpacked package).
func (t ModuleTree) guestPath(rel string) string {
	if _, inner, ok := strings.Cut("/"+rel, "/"+t.Release+"/"); ok && inner != "" {
		return inner
	}
	return rel
}

func (m *packed) compress() {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed) // fails for an unknown level only
	_, _ = w.Write(m.data)                          // into memory
	_ = w.Close()
	m.data, m.path = b.Bytes(), m.path+".gz"
}

func total(mods []packed) uint64 {
	n := uint64(0)
	for _, m := range mods {
		n += uint64(len(m.data)+4095) &^ 4095 // the guest's root takes whole pages
	}
	return n
}

func (t ModuleTree) archive(mods []packed) ([]byte, error) {
	base := "lib/modules/" + t.Release
	extra := map[string]File{
		base + "/modules.dep":     {Data: dependencies(mods, t.listedDependencies())},
		base + "/modules.alias":   {Data: aliases(mods)},
		base + "/modules.symbols": {},
	}
	// What is built in is no error for modprobe when it knows.
	if data, err := os.ReadFile(filepath.Join(t.Dir, "modules.builtin")); err == nil {
		extra[base+"/modules.builtin"] = File{Data: data}
	}
	for _, m := range mods {
		extra[base+"/"+m.path] = File{Data: m.data}
	}
	nodes := []node{
		{name: "sbin", mode: modeDir | 0o755},
		{name: "sbin/modprobe", mode: modeSymlink | 0o777, data: []byte("../bin/busybox")}, // what the kernel runs, kernel/module/kmod.c
	}
	nodes, err := addExtra(nodes, extra)
	if err != nil {
		return nil, err
	}
	slices.SortFunc(nodes, func(a, b node) int { return strings.Compare(a.name, b.name) })
	return newc(nodes)
}

// listedDependencies is what the tree's own modules.dep says: by a module's path without a suffix of compression, the paths
// of all that it needs. It is empty where there is none: Debian's packages leave it to depmod on the machine.
func (t ModuleTree) listedDependencies() map[string][]string {
	data, err := os.ReadFile(filepath.Join(t.Dir, "modules.dep"))
	if err != nil {
		return nil
	}
	listed := map[string][]string{}
	for line := range strings.Lines(string(data)) {
		module, needs, ok := strings.Cut(strings.TrimSpace(line), ":")
		if !ok {
			continue
		}
		var paths []string
		for _, p := range strings.Fields(needs) {
			paths = append(paths, ko.Plain(p))
		}
		listed[ko.Plain(module)] = paths
	}
	return listed
}

// dependencies writes modules.dep: a line for each module, with all that it needs, directly or not, the nearest first, so
// that modprobe can load them from the end. By the tree's own list where it has the module, else by .modinfo.
//
//	kernel/fs/ext4/ext4.ko: kernel/lib/crc16.ko kernel/fs/mbcache.ko kernel/fs/jbd2/jbd2.ko
func dependencies(mods []packed, listed map[string][]string) []byte {
	byName, byPlain := map[string]*packed{}, map[string]*packed{}
	for i := range mods {
		m := &mods[i]
		if _, taken := byName[m.name]; !taken {
			byName[m.name] = m
		}
		byPlain[ko.Plain(m.path)] = m
	}
	needs := func(m *packed) (direct []*packed) {
		if paths, ok := listed[ko.Plain(m.path)]; ok {
			for _, p := range paths {
				if d := byPlain[p]; d != nil {
					direct = append(direct, d)
				}
			}
			return direct
		}
		for _, name := range m.info.Depends {
			if d := byName[name]; d != nil {
				direct = append(direct, d)
			}
		}
		return direct
	}
	var out bytes.Buffer
	for i := range mods {
		m := &mods[i]
		fmt.Fprintf(&out, "%s:", m.path)
		for _, d := range closure(m, needs) {
			fmt.Fprintf(&out, " %s", d.path)
		}
		out.WriteByte('\n')
	}
	return out.Bytes()
}

// closure lists what m needs so that each stands before what it needs itself. A ring, which no kernel can load, ends where it
// closes.
func closure(m *packed, needs func(*packed) []*packed) []*packed {
	var order []*packed
	seen := map[*packed]bool{m: true}
	var visit func(*packed)
	visit = func(m *packed) {
		direct := needs(m)
		for _, d := range slices.Backward(direct) {
			if !seen[d] {
				seen[d] = true
				visit(d)
				order = append(order, d)
			}
		}
	}
	visit(m)
	slices.Reverse(order)
	return order
}

// aliases writes modules.alias.
func aliases(mods []packed) []byte {
	var out bytes.Buffer
	for _, m := range mods {
		for _, a := range m.info.Aliases {
			if !strings.ContainsAny(a, " \t\n") {
				fmt.Fprintf(&out, "alias %s %s\n", a, m.name)
			}
		}
	}
	return out.Bytes()
}

// parallel calls f for 0 to n-1 on all processors.
func parallel(n int, f func(int)) {
	var wg sync.WaitGroup
	workers := min(n, runtime.NumCPU())
	for w := range workers {
		wg.Go(func() {
			for i := w; i < n; i += workers {
				f(i)
			}
		})
	}
	wg.Wait()
}
