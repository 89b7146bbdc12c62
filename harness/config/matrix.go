package config

import (
	"fmt"
	"slices"
	"strings"

	"kcatch/internal/blame"
)

// matrixBuilder makes the cells of a smoke profile.
type matrixBuilder struct {
	in      input
	file    *smokeFile
	outside settings // of the environment and the command line
	notes   []string
}

// cells are the matrix: each kernel on each machine with each command line, but for what is excluded.
func (b *matrixBuilder) cells() ([]SmokeCell, error) {
	kernels, err := b.kernels()
	if err != nil {
		return nil, err
	}
	machines, err := named("machines", b.file.machines, func(m member) string {
		name, _, _ := strings.Cut(textOf(m.set["machine"], "q35"), ",")
		return name
	})
	if err != nil {
		return nil, err
	}
	appends, err := named("append", b.file.appends, func(m member) string { return textOf(m.set["args"], "") })
	if err != nil {
		return nil, err
	}
	if appends == nil {
		appends = []member{{}}
	}
	if n := len(kernels) * len(machines) * len(appends); n > maxCells {
		return nil, blame.New(blame.Usage, fmt.Sprintf("%s: %d kernels on %d machines with %d command lines are %d cells, more than %d",
			b.file.place, len(kernels), len(machines), len(appends), n, maxCells), "make it two profiles")
	}
	excluded := make([]bool, len(b.file.exclude))
	var out []SmokeCell
	for _, k := range kernels {
		for _, m := range machines {
			for _, a := range appends {
				c := SmokeCell{Name: k.name + "/" + m.name, Kernel: k.name, Machine: m.name, Append: a.name, Checks: b.file.checks}
				if a.name != "" {
					c.Name += "/" + a.name
				}
				gone := false
				for i, e := range b.file.exclude {
					if e.matches(&c) {
						gone, excluded[i] = true, true
					}
				}
				if gone {
					continue
				}
				if err := b.cell(&c, k, m, a); err != nil {
					return nil, err
				}
				out = append(out, c)
			}
		}
	}
	for i, was := range excluded {
		if !was {
			b.notes = append(b.notes, b.file.exclude[i].at+": exclude: takes out no cell")
		}
	}
	if len(out) == 0 {
		return nil, blame.New(blame.Usage, b.file.exclude[0].at+": exclude: no cell is left", "leave one of the entries out")
	}
	return out, nil
}

// kernels are the members with the kernels that are given on the command line in those that name none.
func (b *matrixBuilder) kernels() ([]member, error) {
	members := b.file.kernels
	if members == nil {
		members = []member{{at: b.file.place, set: settings{}}}
	}
	given := b.outside.of(ofKernel)
	var names []string // of what is given for certain: a variable may stand there for "kcatch boot"
	for _, name := range []string{"kernel", "vmlinux", "boot-vmlinux"} {
		if given[name].at == "flag" {
			names = append(names, "--"+name)
		}
	}
	if t := given["tree"]; t.at == "argument" {
		names = append(names, "TREE "+clip(first(t.texts)))
	}
	open := false
	members = slices.Clone(members)
	for i, m := range members {
		if has(m, "tree") || has(m, "kernel") || has(m, "vmlinux") {
			continue
		}
		open = true
		all := settings{}
		for _, layer := range []settings{m.set, given} {
			for name, s := range layer {
				all[name] = s
			}
		}
		members[i].set = all
	}
	if len(names) > 0 && !open {
		return nil, blame.New(blame.Usage, names[0]+": every kernel of "+b.file.place+" names its own", "leave it out, or have a member that names none: kernels: [{name: mine}]")
	}
	return named("kernels", members, func(m member) string {
		for _, name := range []string{"tree", "kernel", "vmlinux"} {
			if v := textOf(m.set[name], ""); v != "" {
				return fileName(v)
			}
		}
		return "debian-6.1"
	})
}

func has(m member, name string) bool { _, ok := m.set[name]; return ok }

// textOf is a setting that is one text.
func textOf(s setting, otherwise string) string {
	if v, ok := s.value.(string); ok {
		return v
	}
	return otherwise
}

// named gives members without a name theirs, and refuses two of one name. There is a default member where the list is left out, but
// not of command lines.
func named(list string, members []member, name func(member) string) ([]member, error) {
	if members == nil && list == "append" {
		return nil, nil
	}
	if members == nil {
		members = []member{{set: settings{}}}
	}
	out := slices.Clone(members)
	seen := map[string]string{}
	for i := range out {
		m := &out[i]
		if m.name == "" {
			m.name = nameOf(name(*m))
		}
		if m.name == "" {
			return nil, blame.New(blame.Usage, m.at+": "+list+": a member without a name", "give it one: name: plain")
		}
		if before, ok := seen[m.name]; ok {
			return nil, blame.New(blame.Usage, fmt.Sprintf("%s: %s: %q is the name of two, the first at %s", m.at, list, m.name, before), "name: is what tells them apart")
		}
		seen[m.name] = m.at
	}
	return out, nil
}

// cell resolves the settings of one. Over the defaults and the profile's top-level keys lie kernel, machine and command line, over
// them the environment and the command line of kcatch.
func (b *matrixBuilder) cell(c *SmokeCell, k, m, a member) error {
	r := &resolver{keys: append(bootKeys(), workloadKey(&c.Workload))}
	outside := b.outside.of(cellWide, []string{"workload"})
	if has(k, "kernel") || has(k, "vmlinux") {
		for _, key := range r.keys {
			s, ok := outside[key.name]
			if !ok || !key.builds {
				continue
			}
			delete(outside, key.name)
			note := fmt.Sprintf("%s: not for the kernel %s, which is not built", subjectOf(key.name, s.at), c.Kernel)
			if !slices.Contains(b.notes, note) {
				b.notes = append(b.notes, note)
			}
		}
	}
	var line []string
	for _, part := range []struct {
		key string
		s   setting
	}{{"append-args", k.set["append-args"]}, {"args", a.set["args"]}, {"append", outside["append"]}} {
		words, err := values(key{form: list}, part.s.value)
		if err == nil {
			err = putAppend(&Boot{}, words, b.in)
		}
		if err != nil {
			return blame.New(blame.Usage, subjectOf(part.key, part.s.at)+": "+err.Error(), blame.Hint(err))
		}
		line = append(line, words...)
	}
	delete(outside, "append")
	r.stack(b.file.top.of(cellWide, []string{"workload"}), k.set, m.set, a.set, outside)
	r.v.Set("append", line)
	if err := r.put(&c.Boot, b.in); err != nil {
		return err
	}
	if err := r.exclude(&c.Boot); err != nil {
		return err
	}
	if c.Boot.Initrd != "" && len(c.Checks) > 0 {
		return blame.New(blame.Usage, r.subject("initrd")+" and "+c.Checks[0].At+": checks: only kcatch's own initramfs takes them", "leave one of them out")
	}
	if !c.Boot.Builds() {
		c.Boot.Tree, c.Boot.Base = "", ""
	}
	switch class, _, has := strings.Cut(c.Boot.Expect, ":"); {
	case class == "ok" && has:
		return blame.New(blame.Usage, r.subject("expect")+": ok is no death of a function", "expect: ok is a cell that must live")
	case class == "ok":
		c.Boot.Expect = ""
	}
	return nil
}

// subjectOf names a setting as [resolver.subject] does.
func subjectOf(name, origin string) string {
	r := &resolver{origins: map[string]string{name: origin}}
	return r.subject(name)
}
