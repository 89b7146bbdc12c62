package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"go.yaml.in/yaml/v3"

	"kcatch/configs"
	"kcatch/internal/blame"
)

// smokeFile is what a smoke profile says, each thing with its line. Values are not checked but for their form.
type smokeFile struct {
	place     string   // "ci.yaml" or "profile ci"
	top       settings // what holds for all cells, and for the run
	kernels   []member // nil when the list is left out
	machines  []member
	appends   []member
	checks    []SmokeCheck
	exclude   []exclusion
	allow     []SmokeAllow
	variables []string // of the environment, that it names
}

// member is one of kernels, machines or append.
type member struct {
	name string // empty when it has none
	at   string
	set  settings
}

// exclusion takes cells out: those of which all its globs match. An empty glob matches all.
type exclusion struct {
	kernel, machine, append string
	at                      string
}

func (e exclusion) matches(c *SmokeCell) bool {
	for _, g := range []struct{ glob, name string }{{e.kernel, c.Kernel}, {e.machine, c.Machine}, {e.append, c.Append}} {
		if ok, _ := path.Match(g.glob, g.name); g.glob != "" && !ok { // the pattern is checked
			return false
		}
	}
	return true
}

// The keys of a smoke profile. A member's are boot's flags, but for name, args and append-args.
var (
	topKeys = []string{"kernels", "machines", "append", "checks", "exclude", "allow", "until", "fail-on", "timeout", "retries", "run", "workload",
		"values", "values-depth", "accel", "qemu", "qemu-arg", "keep", "jobs", "allow-flaky"}
	kernelKeys = []string{"name", "tree", "patch", "base", "config", "make", "kernel", "vmlinux", "boot-vmlinux", "initrd", "modules", "expect",
		"until", "fail-on", "timeout", "run", "workload", "values", "values-depth", "append-args"}
	machineKeys = []string{"name", "machine", "cpu", "memory", "smp", "accel", "qemu", "qemu-arg", "timeout", "expect"}
	appendKeys  = []string{"name", "args", "expect"}

	// pathKeys name files: in them ~/ and ${NAME} are filled in.
	pathKeys = []string{"tree", "patch", "base", "config", "kernel", "vmlinux", "boot-vmlinux", "initrd", "modules", "qemu", "script"}
)

// Bounds of a profile: a name's letters, and the nodes and levels that are looked at, aliases included.
const (
	maxName  = 64
	maxNodes = 50000
	maxLevel = 16
)

// memberName is what a member may be called: its name is a part of a cell's, which is a part of a path.
var memberName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)

// readSmoke reads a profile: a file when its name looks like one, else an embedded one.
func readSmoke(name string, lookup func(string) (string, bool)) (*smokeFile, error) {
	if slices.Contains(configs.Profiles(), name) {
		return nil, blame.New(blame.Usage, "profile "+name+": a profile for kcatch boot", "for smoke there are "+strings.Join(configs.SmokeProfiles(), ", ")+"; or name a YAML file")
	}
	text, place, err := loadProfile(name, configs.SmokeProfiles())
	if err != nil {
		return nil, err
	}
	return parseSmoke(text, place, lookup)
}

func parseSmoke(text []byte, place string, lookup func(string) (string, bool)) (*smokeFile, error) {
	f := &smokeFile{place: place, top: settings{}}
	p := &smokeParser{file: f, lookup: lookup, left: maxNodes}
	var doc, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF): // nothing but comments
		return f, nil
	case err != nil:
		return nil, notYAML(place, err)
	}
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		if err != nil {
			return nil, notYAML(place, err)
		}
		p.refuse(&more, "a profile is one document", "a second document")
	}
	if p.err == nil {
		p.document(doc.Content[0])
	}
	if p.err != nil {
		return nil, p.err
	}
	return f, nil
}

var yamlLine = regexp.MustCompile(`^line (\d+): `)

// notYAML puts the line of a YAML error where every refusal has it.
func notYAML(place string, err error) error {
	cause := yamlCause(err)
	if m := yamlLine.FindStringSubmatch(cause); m != nil {
		place, cause = place+":"+m[1], cause[len(m[0]):]
	}
	return &blame.Error{Kind: blame.Usage, Msg: place + ": not YAML: " + clip(cause),
		Hint: "a profile has lists like \"kernels: [{name: stable, tree: debian-6.1}]\"; see docs/smoke.md", Err: err}
}

// smokeParser turns nodes into a smokeFile. Its first refusal stays; after it nothing is looked at.
type smokeParser struct {
	file   *smokeFile
	lookup func(string) (string, bool)
	left   int // nodes
	err    error
}

func (p *smokeParser) at(n *yaml.Node) string { return p.file.place + ":" + strconv.Itoa(n.Line) }

// refuse is a usage error with file and line.
func (p *smokeParser) refuse(n *yaml.Node, hint, format string, args ...any) {
	if p.err == nil {
		p.err = blame.New(blame.Usage, p.at(n)+": "+fmt.Sprintf(format, args...), hint)
	}
}

// follow is the node that an alias stands for.
func (p *smokeParser) follow(n *yaml.Node) *yaml.Node {
	if p.left--; p.left < 0 {
		p.refuse(n, "", "more than %d values, aliases included", maxNodes)
	}
	if n.Kind == yaml.AliasNode {
		return n.Alias // never an alias itself
	}
	return n
}

// field is a key of a mapping with its value, which is no alias.
type field struct {
	key        string
	name, node *yaml.Node
}

// fields are those of a mapping. unknown may refuse a key that is none of known in a way of its own.
//
// After a refusal there are none.
func (p *smokeParser) fields(n *yaml.Node, subject string, known []string, unknown func(f field) (cause, hint string)) []field {
	if n = p.follow(n); p.err != nil {
		return nil
	}
	if n.Kind != yaml.MappingNode {
		p.refuse(n, "write it as {"+known[0]+": ...}", "%s: not a mapping of keys to values", subject)
		return nil
	}
	var out []field
	lines := map[string]int{}
	for i := 0; i+1 < len(n.Content) && p.err == nil; i += 2 {
		f := field{strings.ToLower(n.Content[i].Value), n.Content[i], p.follow(n.Content[i+1])}
		switch {
		case n.Content[i].Kind != yaml.ScalarNode:
			p.refuse(n.Content[i], "", "%s: a key that is no word", subject)
		case lines[f.key] > 0:
			p.refuse(n.Content[i], "leave one of them out", "%s: %q is there twice, first in line %d", subject, clip(f.key), lines[f.key])
		case !slices.Contains(known, f.key):
			cause, hint := "unknown key "+strconv.Quote(clip(f.key)), subject+" takes "+strings.Join(known, ", ")
			if near := didYouMean(f.key, known); near != "" {
				hint = near
			}
			if unknown != nil {
				if c, h := unknown(f); h != "" {
					cause, hint = cause+c, h
				}
			}
			p.refuse(n.Content[i], hint, "%s", prefixed(subject, cause))
		}
		lines[f.key] = n.Content[i].Line
		out = append(out, f)
	}
	if p.err != nil {
		return nil
	}
	return out
}

func prefixed(subject, cause string) string {
	if subject == "profile" {
		return cause
	}
	return subject + ": " + cause
}

// items are the members of a list, which may not be empty.
func (p *smokeParser) items(f field, without string) []*yaml.Node {
	if p.err != nil {
		return nil
	}
	switch {
	case f.node.Kind != yaml.SequenceNode && f.node.Tag == "!!null", f.node.Kind == yaml.SequenceNode && len(f.node.Content) == 0:
		p.refuse(f.name, "leave it out to have "+without, "%s: an empty list", f.key)
	case f.node.Kind != yaml.SequenceNode:
		p.refuse(f.node, "write it as "+f.key+": [...]", "%s: not a list", f.key)
	case len(f.node.Content) > maxCells:
		p.refuse(f.name, "", "%s: %d members, more than %d", f.key, len(f.node.Content), maxCells)
	default:
		return f.node.Content
	}
	return nil
}

// value is a node as [values] takes it: a string, a bool, a list of these, or something that it refuses.
func (p *smokeParser) value(n *yaml.Node, key string, level int) any {
	n = p.follow(n)
	if p.err != nil {
		return nil
	}
	switch n.Kind {
	case yaml.ScalarNode:
		switch n.Tag {
		case "!!bool":
			return n.Value == "true" || n.Value == "True" || n.Value == "TRUE"
		case "!!null":
			p.refuse(n, "write \"\" for an empty text", "%s: nothing where a value belongs", key)
			return nil
		case "!!binary":
			p.refuse(n, "", "%s: binary data where a text belongs", key)
			return nil
		}
		if slices.Contains(pathKeys, key) {
			return p.path(n, key)
		}
		return n.Value // as it is written: a name of 6.10 stays one
	case yaml.SequenceNode:
		if level > maxLevel {
			p.refuse(n, "", "%s: lists in lists", key)
			return nil
		}
		out := make([]any, 0, len(n.Content))
		for _, c := range n.Content {
			out = append(out, p.value(c, key, level+1))
		}
		return out
	}
	return struct{}{} // a mapping, which no setting is
}

var variableName = regexp.MustCompile(`\$\{([^}]*)\}`)

// path fills in ~/ and ${NAME}.
func (p *smokeParser) path(n *yaml.Node, key string) string {
	text := variableName.ReplaceAllStringFunc(n.Value, func(ref string) string {
		name := ref[2 : len(ref)-1]
		v, ok := p.lookup(name)
		if !ok || v == "" {
			p.refuse(n, "set it, or write the path out", "%s: ${%s} is not set in the environment", key, clip(name))
		}
		if strings.HasPrefix(name, "KCATCH_") && !slices.Contains(p.file.variables, name) {
			p.file.variables = append(p.file.variables, name)
		}
		return v
	})
	if rest, ok := strings.CutPrefix(text, "~/"); ok {
		home, ok := p.lookup("HOME")
		if !ok || home == "" {
			p.refuse(n, "set HOME, or write the path out", "%s: no home directory for ~/", key)
		}
		text = filepath.Join(home, rest)
	}
	return text
}

// text is a scalar that must be there.
func (p *smokeParser) text(f field) string {
	v := p.value(f.node, f.key, 0)
	if p.err != nil {
		return ""
	}
	s, err := scalar(v, text)
	if err == nil {
		err = notEmpty(s)
	}
	if err == nil && strings.ContainsAny(s, "\n\r") && f.key != "run" {
		err = bad("", "more than one line")
	}
	if err != nil {
		p.refuse(f.node, blame.Hint(err), "%s: %v", f.key, err)
	}
	return s
}

func (p *smokeParser) document(n *yaml.Node) {
	matrix := false
	if n.Kind == yaml.MappingNode {
		for i := 0; i < len(n.Content); i += 2 {
			matrix = matrix || n.Content[i].Value == "kernels" || n.Content[i].Value == "machines"
		}
	}
	unknown := func(f field) (string, string) {
		switch isBoots := slices.ContainsFunc(bootKeys(), func(k key) bool { return k.name == f.key }); {
		case isBoots && !matrix:
			return "", "this is a profile for kcatch boot; in one for smoke, kernels and machines are lists"
		case slices.Contains(kernelKeys, f.key):
			return "", "it is a kernel's: kernels: [{" + f.key + ": ...}]"
		case slices.Contains(machineKeys, f.key):
			return "", "it is a machine's: machines: [{" + f.key + ": ...}]"
		case isBoots:
			return "", "it is no setting of a smoke profile; see docs/smoke.md"
		}
		if near := didYouMean(f.key, topKeys); near != "" {
			return "", near
		}
		return "", "see docs/smoke.md for the keys of a profile"
	}
	for _, f := range p.fields(n, "profile", topKeys, unknown) {
		switch f.key {
		case "kernels":
			p.file.kernels = p.members(f, kernelKeys, "tree")
		case "machines":
			p.file.machines = p.members(f, machineKeys, "machine")
		case "append":
			p.file.appends = p.members(f, appendKeys, "args")
		case "checks":
			p.checks(f)
		case "exclude":
			p.exclusions(f)
		case "allow":
			p.allow(f)
		default:
			if f.node.Tag != "!!null" {
				p.set(p.file.top, f)
			}
		}
	}
}

func (p *smokeParser) set(to settings, f field) {
	if v := p.value(f.node, f.key, 0); p.err == nil {
		to[f.key] = setting{value: v, at: p.at(f.name)}
	}
}

// members are those of a list. One that is only a text is its main key.
func (p *smokeParser) members(f field, known []string, main string) []member {
	var out []member
	for _, n := range p.items(f, "one default member") {
		at := n
		if n = p.follow(n); p.err != nil {
			return nil
		}
		m := member{at: p.at(at), set: settings{}}
		if n.Kind == yaml.ScalarNode {
			p.set(m.set, field{main, n, n})
			out = append(out, m)
			continue
		}
		for _, g := range p.fields(n, f.key, known, nil) {
			switch {
			case g.node.Tag == "!!null": // "memory:" alone is not set
				continue
			case g.key != "name":
				p.set(m.set, g)
				continue
			}
			m.name = p.text(g)
			if p.err == nil && (!memberName.MatchString(m.name) || len(m.name) > maxName) {
				p.refuse(g.node, fmt.Sprintf("letters, digits, \".\", \"_\" and \"-\", %d at most; the first is a letter or a digit", maxName),
					"%s: name %q", f.key, clip(m.name))
			}
		}
		out = append(out, m)
	}
	return out
}

func (p *smokeParser) checks(f field) {
	names := map[string]bool{}
	for _, n := range p.items(f, "no checks") {
		c := SmokeCheck{At: p.at(n)}
		for _, g := range p.fields(n, "checks", []string{"name", "run", "script", "timeout"}, nil) {
			switch g.key {
			case "name":
				c.Name = p.text(g)
			case "run":
				c.Run = p.text(g)
			case "script":
				c.Script = p.text(g)
				if err := (input{}).file(c.Script); err != nil && p.err == nil {
					p.refuse(g.node, blame.Hint(err), "script: %v", err)
				}
			case "timeout":
				var b Boot
				err := putTimeout(&b, []string{p.text(g)}, input{})
				if err == nil && (b.Timeout%time.Second != 0 || b.Timeout > time.Hour) {
					err = bad("the guest counts in seconds", "%s is not whole seconds and at most an hour", b.Timeout)
				}
				if err != nil {
					p.refuse(g.node, blame.Hint(err), "timeout: %v", err)
				}
				c.Limit = b.Timeout
			}
		}
		switch {
		case (c.Run == "") == (c.Script == ""):
			p.refuse(n, "- {name: net, run: ip link} or - {name: net, script: net.sh}", "checks: want run or script, one of them")
		case c.Name == "" && c.Script != "":
			c.Name = filepath.Base(c.Script)
		case c.Name == "":
			c.Name = clip(c.Run)
		}
		if names[c.Name] {
			p.refuse(n, "give each a name of its own", "checks: two are called %q", clip(c.Name))
		}
		names[c.Name] = true
		p.file.checks = append(p.file.checks, c)
	}
}

func (p *smokeParser) exclusions(f field) {
	for _, n := range p.items(f, "every cell") {
		e := exclusion{at: p.at(n)}
		to := map[string]*string{"kernel": &e.kernel, "machine": &e.machine, "append": &e.append}
		fields := p.fields(n, "exclude", []string{"kernel", "machine", "append"}, nil)
		for _, g := range fields {
			v := p.text(g)
			if _, err := path.Match(v, ""); err != nil && p.err == nil {
				p.refuse(g.node, "write a [ as \\[", "%s: %q is no pattern", g.key, clip(v))
			}
			*to[g.key] = v
		}
		if len(fields) == 0 {
			p.refuse(n, "- {kernel: 'debian-*', machine: microvm}", "exclude: want kernel, machine or append")
		}
		p.file.exclude = append(p.file.exclude, e)
	}
}

// allow takes entries that are over, too: whoever runs the cells says so, because a run of last year may be looked at again.
func (p *smokeParser) allow(f field) {
	must := []string{"signature", "owner", "reason", "expires"}
	for _, n := range p.items(f, "no splat allowed") {
		var a SmokeAllow
		to := map[string]*string{"signature": &a.Signature, "cells": &a.Cells, "owner": &a.Owner, "reason": &a.Reason, "expires": &a.Expires}
		for _, g := range p.fields(n, "allow", append(slices.Clone(must), "cells"), nil) {
			*to[g.key] = p.text(g)
			if _, err := time.Parse(time.DateOnly, a.Expires); g.key == "expires" && err != nil {
				p.refuse(g.node, "write it as 2027-01-31, the last day on which it holds", "expires: %q is not a day", clip(a.Expires))
			}
		}
		for _, key := range must {
			if *to[key] == "" {
				p.refuse(n, "who looks after it, why, and until which day", "allow: no %s", key)
			}
		}
		p.file.allow = append(p.file.allow, a)
	}
}

// nameOf makes a name of a tree, a machine or arguments.
func nameOf(text string) string {
	var b strings.Builder
	for i := 0; i < len(text) && b.Len() < 40; i++ {
		c := text[i]
		plain := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		switch {
		case plain, b.Len() > 0 && (c == '.' || c == '_' || c == '-'):
			b.WriteByte(c)
		case b.Len() > 0 && !strings.HasSuffix(b.String(), "-"):
			b.WriteByte('-')
		}
	}
	return strings.TrimRight(b.String(), "-._")
}

// fileName is the last part of a path without what tarballs end in.
func fileName(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		name = abs // of "." too
	}
	base := filepath.Base(name)
	for _, ending := range []string{".xz", ".gz", ".bz2", ".zst", ".tar", ".tgz"} {
		base = strings.TrimSuffix(base, ending)
	}
	return base
}
