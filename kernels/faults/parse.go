package faults

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"kcatch/internal/blame"
	"kcatch/internal/nearest"
)

// A Corpus is kernels and the faults that run on them, in the order of their files.
type Corpus struct {
	Kernels []Kernel
	Faults  []Fault
}

// Parse adds the stanzas of a file to the corpus. A stanza is lines of "key: value", the first of which is "kernel: NAME" or
// "fault: NAME"; a line that begins with a space goes on with the value before; empty lines end a stanza, and a line that
// begins with # is none. Every key is known and stands once, a kernel comes before the faults on it, and no name is given
// twice. One real stanza:
//
//	fault: setup-bug
//	what: BUG() under the early IDT
//	on: selectable
//	append: kcatch_fault=setup-bug
//	class: early-exception
//	stage: start_kernel
//	cause: kcatch_bug
//	frames: kcatch_fault setup_arch start_kernel
//	vector: 6
//
// An error is a usage error that begins with FILE:LINE.
func (c *Corpus) Parse(file, text string) error {
	var fields []field
	for i, line := range strings.Split(text+"\n\n", "\n") {
		where := fmt.Sprintf("%s:%d", file, i+1)
		switch {
		case strings.HasPrefix(line, "#"):
		case strings.TrimSpace(line) == "":
			if err := c.add(fields); err != nil {
				return err
			}
			fields = nil
		case line[0] == ' ' || line[0] == '\t':
			if len(fields) == 0 {
				return refuse(where, "a line that goes on with nothing")
			}
			fields[len(fields)-1].value += " " + strings.TrimSpace(line)
		default:
			key, value, ok := strings.Cut(line, ":")
			if !ok {
				return refuse(where, fmt.Sprintf("%q: want \"key: value\"", line))
			}
			fields = append(fields, field{where: where, key: key, value: strings.TrimSpace(value)})
		}
	}
	return nil
}

// field is a line of a stanza.
type field struct{ where, key, value string }

func refuse(where, what string) error { return blame.New(blame.Usage, where+": "+what, "") }

// setter reads a value into its place; its error is about the value alone.
type setter func(value string) error

// add takes a stanza into the corpus.
func (c *Corpus) add(fields []field) error {
	if len(fields) == 0 {
		return nil
	}
	switch head := fields[0]; head.key {
	case "kernel":
		k := Kernel{Name: head.value, Where: head.where}
		if err := read(fields, kernelKeys(&k)); err != nil {
			return err
		}
		return c.addKernel(k)
	case "fault":
		f := Fault{Name: head.value, Where: head.where}
		if err := read(fields, c.faultKeys(&f)); err != nil {
			return err
		}
		return c.addFault(f)
	default:
		return refuse(head.where, fmt.Sprintf("a stanza begins with kernel or fault, not with %s", head.key))
	}
}

// read sets each field by its key.
func read(fields []field, keys map[string]setter) error {
	seen := map[string]bool{}
	for _, f := range fields {
		set, ok := keys[f.key]
		switch {
		case !ok:
			return unknown(f.where, "key", f.key, slices.Sorted(maps.Keys(keys)))
		case seen[f.key]:
			return refuse(f.where, f.key+": stands here for the second time")
		case f.value == "":
			return refuse(f.where, f.key+": no value")
		}
		seen[f.key] = true
		if err := set(f.value); err != nil {
			return refuse(f.where, f.key+": "+err.Error())
		}
	}
	return nil
}

// unknown refuses a name, with the nearest one.
func unknown(where, kind, name string, known []string) error {
	hint := ""
	if near := nearest.Name(name, known, 3); near != "" {
		hint = "did you mean " + near + "?"
	}
	return blame.New(blame.Usage, fmt.Sprintf("%s: unknown %s %s", where, kind, name), hint)
}

func kernelKeys(k *Kernel) map[string]setter {
	return map[string]setter{
		"kernel": word(&k.Name), "tree": text(&k.Tree), "patch": words(&k.Patches), "config": words(&k.Config),
		"fixture": word(&k.Fixture),
	}
}

func (c *Corpus) faultKeys(f *Fault) map[string]setter {
	w := &f.Want
	return map[string]setter{
		"fault": word(&f.Name), "what": text(&f.What), "on": c.kernel(&f.On), "append": text(&f.Append),
		"memory": mebibytes(&f.Memory), "smp": count(&f.CPUs), "machine": word(&f.Machine), "run": text(&f.Run),
		"initrd": oneOf(&f.Initrd, "none"), "until": word(&f.Until), "fail-on": words(&f.FailOn), "timeout": duration(&f.Timeout),
		"edit": edit(&f.Edit), "slice": yes(&f.Slice),

		"class": word(&w.Class), "hang": word(&w.Hang), "stage": word(&w.Stage), "stage-call": word(&w.StageCall),
		"cause": word(&w.Cause), "inlined-into": words(&w.InlinedInto), "frames": words(&w.Frames), "vector": vector(&w.Vector),
		"error-code": optional(&w.ErrorCode), "summary": text(&w.Summary), "warnings": optionalCount(&w.Warnings),
		"tasks": words(&w.Tasks), "writer": word(&w.Writer),
	}
}

func (c *Corpus) addKernel(k Kernel) error {
	for _, have := range c.Kernels {
		if have.Name == k.Name {
			return refuse(k.Where, "kernel "+k.Name+" is at "+have.Where+" already")
		}
	}
	if k.Tree == "" && k.Fixture == "" {
		return refuse(k.Where, "kernel "+k.Name+" has neither a tree nor a fixture")
	}
	c.Kernels = append(c.Kernels, k)
	return nil
}

func (c *Corpus) addFault(f Fault) error {
	for _, have := range c.Faults {
		if have.Name == f.Name {
			return refuse(f.Where, "fault "+f.Name+" is at "+have.Where+" already")
		}
	}
	switch {
	case f.What == "":
		return refuse(f.Where, "fault "+f.Name+" does not say what it is")
	case f.On.Name == "":
		return refuse(f.Where, "fault "+f.Name+" does not say on which kernel")
	case f.Want.Class == "":
		return refuse(f.Where, "fault "+f.Name+" expects no class")
	}
	c.Faults = append(c.Faults, f)
	return nil
}

// kernel reads the name of a kernel of the corpus.
func (c *Corpus) kernel(to *Kernel) setter {
	return func(value string) error {
		var known []string
		for _, k := range c.Kernels {
			if k.Name == value {
				*to = k
				return nil
			}
			known = append(known, k.Name)
		}
		return fmt.Errorf("no kernel %s; there are %s", value, strings.Join(known, ", "))
	}
}

func text(to *string) setter {
	return func(value string) error {
		*to = value
		return nil
	}
}

func word(to *string) setter {
	return func(value string) error {
		if len(strings.Fields(value)) != 1 {
			return fmt.Errorf("%q: want one word", value)
		}
		*to = value
		return nil
	}
}

func words(to *[]string) setter {
	return func(value string) error {
		*to = strings.Fields(value)
		return nil
	}
}

func oneOf(to *string, choices ...string) setter {
	return func(value string) error {
		for _, c := range choices {
			if value == c {
				*to = value
				return nil
			}
		}
		return fmt.Errorf("%q: want %s", value, strings.Join(choices, " or "))
	}
}

func yes(to *bool) setter {
	return func(value string) error {
		*to = value == "yes"
		if !*to {
			return fmt.Errorf("%q: want yes, or no such line", value)
		}
		return nil
	}
}

// mebibytes reads 64M into bytes.
func mebibytes(to *uint64) setter {
	return func(value string) error {
		n, err := strconv.ParseUint(strings.TrimSuffix(value, "M"), 10, 32)
		if err != nil || !strings.HasSuffix(value, "M") || n == 0 {
			return fmt.Errorf("%q: want a size in MiB, as 64M", value)
		}
		*to = n << 20
		return nil
	}
}

func count(to *int) setter {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 1 {
			return fmt.Errorf("%q: want a number from 1", value)
		}
		*to = n
		return nil
	}
}

func optionalCount(to **int) setter {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < 0 {
			return fmt.Errorf("%q: want a number from 0", value)
		}
		*to = &n
		return nil
	}
}

// vector reads 0 to 31, or none for -1.
func vector(to **int) setter {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		switch {
		case value == "none":
			n = -1
		case err != nil || n < 0 || n > 31:
			return fmt.Errorf("%q: want 0 to 31, or none", value)
		}
		*to = &n
		return nil
	}
}

// optional reads a number as C writes it: 2, 0x10.
func optional(to **uint64) setter {
	return func(value string) error {
		n, err := strconv.ParseUint(value, 0, 64)
		if err != nil {
			return fmt.Errorf("%q: want a number", value)
		}
		*to = &n
		return nil
	}
}

func duration(to *time.Duration) setter {
	return func(value string) error {
		d, err := time.ParseDuration(value)
		if err != nil || d <= 0 {
			return fmt.Errorf("%q: want a time, as 90s", value)
		}
		*to = d
		return nil
	}
}

func edit(to **Edit) setter {
	return func(value string) error {
		e, err := ParseEdit(value)
		if err != nil {
			return err
		}
		*to = &e
		return nil
	}
}
