package harness

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kcatch/gdb/kernel"
	"kcatch/images"
	"kcatch/internal/blame"
	"kcatch/kernels"
)

// checkModules refuses a directory without modules, and modules of another kernel than the plan's: modprobe looks in the
// directory that uname -r names, and the kernel refuses a module whose vermagic is not its own, so that a boot with them would
// say nothing about either. Of a kernel that is yet to be built the release is not known; the boot itself finds out.
func checkModules(plan Plan) error {
	if plan.Modules == "" {
		return nil
	}
	tree, err := images.FindModules(plan.Modules)
	if err != nil || plan.Build != nil {
		return err
	}
	return sameRelease(plan, tree)
}

func sameRelease(plan Plan, tree images.ModuleTree) error {
	release := releaseOf(plan)
	if release == "" || release == tree.Release {
		return nil
	}
	return blame.New(blame.Usage, "--modules: "+plan.Modules+": modules of "+tree.Release+", but the kernel is "+release,
		"give the modules that were built with this kernel")
}

// releaseOf is the release of the plan's kernel, by its boot image or its vmlinux; empty when neither says.
func releaseOf(plan Plan) string {
	if plan.Kernel != "" {
		if image, err := kernels.ReadBzImage(plan.Kernel); err == nil && image.KernelVersion() != "" {
			return image.KernelVersion()
		}
	}
	if plan.Vmlinux == "" {
		return ""
	}
	k, err := kernel.Open(plan.Vmlinux)
	if err != nil {
		return ""
	}
	defer k.Close()
	return k.Release()
}

// guestOverhead is what a guest needs beside its initramfs, in bytes: a distribution's kernel, its page tables and struct
// pages, busybox, and some room to work: of 256 MiB Debian's cloud kernels leave 218.
const guestOverhead = 64 << 20

// moduleRoom is how much of the guest's memory modules may take. While the kernel unpacks its initramfs it has both the
// archive and what was in it, and the root, a tmpfs as a rule, holds at most half of what the archive leaves (fs/ramfs,
// shmem_default_max_blocks() in mm/shmem.c): m <= (memory - overhead - m) / 2. What is too much is cut off, and then the boot
// seems to fail in init; 87 MiB of modules in 256 MiB were cut off so.
func moduleRoom(memory uint64) uint64 {
	if memory <= guestOverhead {
		return 0
	}
	return (memory - guestOverhead) / 3
}

// modules is the archive of the plan's modules. Packing Debian's, a thousand of them, takes a second (6.1) to four (6.12, whose
// are xz), so archives are kept in the cache, by the names, sizes and times of the files.
func (b *boot) modules() ([]byte, error) {
	tree, err := images.FindModules(b.plan.Modules)
	if err != nil {
		return nil, err
	}
	if err := sameRelease(b.plan, tree); err != nil {
		return nil, err
	}
	room := moduleRoom(b.plan.Memory)
	cache, err := b.cacheDir()
	if err != nil {
		return nil, err
	}
	name := filepath.Join(cache, "modules", moduleKey(tree, room)+".cpio")
	if data, err := os.ReadFile(name); err == nil && len(data)%512 == 0 && len(data) > 0 {
		now := time.Now()
		_ = os.Chtimes(name, now, now) // used: the oldest goes first
		return data, nil
	}
	b.progress.stage("modules", fmt.Sprintf("%d of %s", len(tree.Files), tree.Release))
	data, err := tree.Pack(room)
	if err != nil {
		return nil, err
	}
	keepArchive(name, data)
	return data, nil
}

// moduleKey names an archive by all that its bytes depend on. The number at its front is the form of the archive.
func moduleKey(tree images.ModuleTree, room uint64) string {
	h := sha256.New()
	dir, _ := filepath.Abs(tree.Dir) // only fails without a working directory; the key is then a worse one
	fmt.Fprintf(h, "1 %s %s %d\n", dir, tree.Release, room)
	for _, f := range tree.Files {
		fmt.Fprintf(h, "%q %d %d\n", f.Rel, f.Size, f.Time)
	}
	for _, name := range []string{"modules.dep", "modules.builtin"} {
		if st, err := os.Stat(filepath.Join(tree.Dir, name)); err == nil {
			fmt.Fprintf(h, "%s %d %d\n", name, st.Size(), st.ModTime().UnixNano())
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:16])
}

// keptArchives is how many archives of modules are kept: Debian's have 30 to 110 MB.
const keptArchives = 8

// keepArchive puts an archive into the cache, whole or not at all, and removes the ones that were used longest ago. It is
// best effort: what could not be kept is packed again.
func keepArchive(name string, data []byte) {
	dir := filepath.Dir(name)
	if os.MkdirAll(dir, 0o755) != nil {
		return
	}
	tmp, err := os.CreateTemp(dir, ".tmp-*")
	if err != nil {
		return
	}
	_, err = tmp.Write(data)
	if cerr := tmp.Close(); err != nil || cerr != nil || os.Rename(tmp.Name(), name) != nil {
		_ = os.Remove(tmp.Name())
		return
	}
	entries, _ := os.ReadDir(dir)
	type archive struct {
		path string
		used time.Time
	}
	var all []archive
	for _, e := range entries {
		if st, err := e.Info(); err == nil && strings.HasSuffix(e.Name(), ".cpio") {
			all = append(all, archive{filepath.Join(dir, e.Name()), st.ModTime()})
		}
	}
	slices.SortFunc(all, func(a, b archive) int { return a.used.Compare(b.used) })
	for _, a := range all[:max(0, len(all)-keptArchives)] {
		_ = os.Remove(a.path)
	}
}
