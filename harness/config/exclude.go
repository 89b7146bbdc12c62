package config

import (
	"strings"

	"kcatch/internal/blame"
)

// exclude refuses settings that cannot both have an effect. A default is no setting here.
func (r *resolver) exclude(b *Boot) error {
	set := func(name string) bool { _, ok := r.origins[name]; return ok }
	refuse := func(hint, cause string, names ...string) error {
		subjects := make([]string, len(names))
		for i, n := range names {
			subjects[i] = r.subject(n)
			if n == "tree" && r.origin(n) == "argument" {
				subjects[i] = "TREE " + clip(b.Tree)
			}
		}
		return blame.New(blame.Usage, strings.Join(subjects, " and ")+": "+cause, hint)
	}
	if !b.Builds() {
		given := "kernel"
		if b.Kernel == "" {
			given = "vmlinux"
		}
		for _, k := range r.keys {
			if k.builds && set(k.name) {
				return refuse("leave one of them out", "a kernel that is there is not built", given, k.name)
			}
		}
	}
	if b.BootVmlinux != "" && b.Kernel == "" {
		if b.Builds() {
			return refuse("leave it out; a build makes its own", "it goes with --kernel", "boot-vmlinux")
		}
		return refuse("add --kernel BZIMAGE", "vmlinux booted by PVH has no decompressor", "boot-vmlinux")
	}
	if b.Initrd != "" {
		for _, name := range []string{"run", "check", "modules"} {
			if set(name) {
				return refuse("leave one of them out", "only kcatch's own initramfs takes it", "initrd", name)
			}
		}
	}
	if b.Expect != "" && b.Only != "" {
		return refuse("--expect for a test, --only for git bisect run", "both decide the exit code", "expect", "only")
	}
	if b.WhoWrote != "" && b.Repeat > 1 {
		return refuse("leave one of them out", "the one counts boots, the other asks about one", "who-wrote", "repeat")
	}
	if b.Quiet && b.Verbose {
		return refuse("leave one of them out", "they contradict each other", "quiet", "verbose")
	}
	return nil
}

// notes says what allowed settings cost.
func notes(b *Boot) []string {
	if b.Kernel != "" && b.Vmlinux == "" {
		return []string{"no --vmlinux: functions are named by the kernel's own table (kallsyms), without source lines and inlined functions"}
	}
	return nil
}
