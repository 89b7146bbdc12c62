package smoke

import (
	"fmt"
	"strings"

	"kcatch/internal/shell"
)

// bootCommand is a "kcatch boot" that boots a cell alone. What the cell is judged by besides is not in it: checks, the baseline, the
// allow list.
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
	add("--append", p.Append)
	add("--machine", p.Machine)
	if p.Memory > 0 {
		add("--memory", fmt.Sprintf("%dM", p.Memory>>20))
	}
	if p.CPUs > 0 {
		add("--smp", fmt.Sprint(p.CPUs))
	}
	add("--accel", p.Accel)
	add("--qemu", p.QEMU)
	for _, a := range p.QEMUArg {
		words = append(words, shell.Word("--qemu-arg="+a)) // it begins with a dash, as a rule
	}
	add("--until", p.Until)
	if p.Timeout > 0 {
		add("--timeout", p.Timeout.String())
	}
	var classes []string
	for _, f := range p.FailOn {
		classes = append(classes, string(f))
	}
	add("--fail-on", strings.Join(classes, ","))
	add("--expect", c.Expect)
	return strings.Join(words, " ")
}
