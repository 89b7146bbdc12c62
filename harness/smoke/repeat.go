package smoke

import (
	"cmp"
	"fmt"
	"strings"

	"kcatch/internal/shell"
)

// bootCommand is a "kcatch boot" that boots a cell alone. What boot has no flag for is not in it: a workload, checks that are
// scripts, have lines or have a limit of their own; and what the cell is judged by besides, the baseline and the allow list.
func bootCommand(c *Cell) string {
	words := []string{"kcatch", "boot"}
	add := func(flag, value string) {
		if value != "" {
			words = append(words, flag, shell.Word(value))
		}
	}
	all := func(flag string, values []string) {
		for _, v := range values {
			add(flag, v)
		}
	}
	p := &c.Plan
	if r := p.Build; r != nil {
		if r.Tree != "" {
			words = append(words, shell.Word(r.Tree))
		}
		all("--patch", r.Patches)
		add("--base", r.Base)
		all("--config", r.Fragments)
		all("--make", r.Make)
	} else {
		add("--kernel", p.Kernel)
		add("--vmlinux", p.Vmlinux)
		add("--boot-vmlinux", p.BootVmlinux)
	}
	add("--initrd", p.Initrd)
	add("--modules", p.Modules)
	add("--run", p.Run)
	for _, check := range p.Checks {
		if check.Limit == 0 && !strings.Contains(check.Command, "\n") {
			add("--check", check.Command)
		}
	}
	add("--append", p.Append)
	add("--machine", p.Machine)
	if p.Memory > 0 {
		add("--memory", fmt.Sprintf("%dM", p.Memory>>20))
	}
	if p.CPUs > 0 {
		add("--smp", fmt.Sprint(p.CPUs))
	}
	add("--cpu", p.CPU)
	add("--accel", p.Accel)
	add("--qemu", p.QEMU)
	for _, a := range p.QEMUArg {
		words = append(words, shell.Word("--qemu-arg="+a)) // it begins with a dash, as a rule
	}
	add("--until", p.Until)
	if p.Timeout > 0 {
		add("--timeout", p.Timeout.String())
	}
	classes := []string{}
	for _, f := range p.FailOn {
		classes = append(classes, string(f))
	}
	add("--fail-on", cmp.Or(strings.Join(classes, ","), "none"))
	switch v := p.Values; {
	case v.Locals:
		add("--values", "all")
	case !v.Args:
		add("--values", "none")
	}
	if p.Values.Depth > 0 {
		add("--values-depth", fmt.Sprint(p.Values.Depth))
	}
	if p.Timeline {
		words = append(words, "--timeline")
	}
	add("--expect", c.Expect)
	return strings.Join(words, " ")
}
