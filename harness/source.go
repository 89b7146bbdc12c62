package harness

import (
	"os"
	"strings"

	"kcatch/internal/blame"
	"kcatch/kernels"
)

// source is the text of a file of the tree as it was built: from the build, or from the tree that a foreign vmlinux
// itself names, unless the file there is newer than the vmlinux. It only reads the boot, as autopsy.Scene.Rehearse calls it while
// the boot goes on.
func (b *boot) source(file string) ([]byte, error) {
	if b.built.Key != "" {
		return b.built.Source(file)
	}
	if b.kernel == nil {
		return nil, os.ErrNotExist
	}
	return treeSource(b.kernel.TreePrefix(), b.plan.Vmlinux, file)
}

// patched names the patch that added a line with text to file, or is empty.
func (b *boot) patched(file, text string) string {
	for _, p := range b.built.Patches {
		if p.Adds(file, text) {
			return p.Name
		}
	}
	return ""
}

// checkBuild finds out, after a boot in which the kernel was not found in RAM, whether the vmlinux is of another build:
// then nothing can be said with it, and it is refused by name.
func (b *boot) checkBuild() error {
	if b.kernel == nil || b.plan.Kernel == "" || b.plan.Vmlinux == "" || !b.kernel.Findable() {
		return nil
	}
	image, err := kernels.ReadBzImage(b.plan.Kernel)
	if err != nil {
		return err
	}
	have, err := image.BuildID()
	if err != nil || have == "" || have == b.kernel.BuildID() {
		return nil // nothing is known against it
	}
	return blame.New(blame.Usage, b.plan.Vmlinux+": not the vmlinux of "+b.plan.Kernel+": build-id "+orNone(b.kernel.BuildID())+
		", the kernel's is "+have, "give the vmlinux that was linked together with this bzImage")
}

// checkVersions compares what both files say of themselves, before anything is started. It costs nothing and refuses
// a vmlinux of another release or build.
func checkVersions(image *kernels.BzImage, vmlinux, banner string) error {
	version := strings.Fields(image.KernelVersion())
	text := strings.Fields(banner) // Linux version RELEASE (BY@HOST) (COMPILER) #1 SMP DATE
	if len(version) == 0 || len(text) < 3 || version[0] == text[2] {
		return nil
	}
	return blame.New(blame.Usage, vmlinux+": is of "+text[2]+", but the kernel is "+version[0], "give the vmlinux that was linked together with this bzImage")
}

func orNone(id string) string {
	if id == "" {
		return "none"
	}
	return id
}
