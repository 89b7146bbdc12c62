package autopsy

import (
	"fmt"
	"slices"
	"strings"

	"kcatch/gdb/value"
)

// names are what names mean in a function of a chain and in those that called it: the innermost variable of a name hides the others,
// also when it has no value there, and all of them hide the kernel's. Everything else, types and per-CPU variables, is as in
// the first function. It remembers what it was asked.
type names struct {
	*FrameScope
	frames  []namedFrame // the first one's is FrameScope
	used    []usedName
	missing []string // names that are nowhere
}

// namedFrame is the scope of a function that may be named in a sentence.
type namedFrame struct {
	*FrameScope
	function string
}

// usedName is a local variable that was asked for.
type usedName struct {
	name, function, kept string
	outward              int // functions from the first
	value                value.Value
}

// outerFrames is how many functions outward from the one at fault are searched for the names of an expression.
const outerFrames = 12

// outward are the scopes of the frame at fault and of those that called it; of no function where no frame is at fault.
func (s *Scene) outward() []namedFrame {
	all := []namedFrame{{s.scope(), ""}}
	d := &s.death
	if d.finding == nil || d.chain == nil || d.finding.Frame < 0 || d.finding.Frame >= len(d.chain.Frames) {
		return all
	}
	all[0].function = d.chain.Frames[d.finding.Frame].Function
	for i := d.finding.Frame + 1; i < len(d.chain.Frames) && i <= d.finding.Frame+outerFrames; i++ {
		all = append(all, namedFrame{s.Scope(d.chain, i), d.chain.Frames[i].Function})
	}
	return all
}

// Variable finds a local of the functions, innermost first, else what [FrameScope.Variable] does.
func (n *names) Variable(name string) (value.Value, bool, error) {
	for i, f := range n.frames {
		if v, ok := f.locals[name]; ok {
			u := usedName{name: name, function: f.function, kept: f.kept[name], outward: i, value: v}
			if !slices.ContainsFunc(n.used, func(o usedName) bool { return o.name == name }) {
				n.used = append(n.used, u)
			}
			return v, true, nil
		}
	}
	v, ok, err := n.FrameScope.Variable(name)
	if !ok && err == nil && !slices.Contains(n.missing, name) {
		n.missing = append(n.missing, name)
	}
	return v, ok, err
}

// inNoMemory says of the variables that were asked for where those are that have no memory to watch; empty when each has some.
func (n *names) inNoMemory() string {
	var all []string
	for _, u := range n.used {
		switch {
		case u.value.HasAddr:
		case u.kept != "":
			all = append(all, fmt.Sprintf("%s is %s in %s()", u.name, u.kept, u.function))
		default:
			all = append(all, u.whose())
		}
	}
	return strings.Join(all, ", ")
}

func (u *usedName) whose() string {
	return fmt.Sprintf("%s is the variable of %s()", u.name, u.function)
}

// notes say which names are not those of the function at fault; all of them when the first of these functions is not that.
func (n *names) notes(all bool) (notes []string) {
	for _, u := range n.used {
		if all || u.outward > 0 {
			notes = append(notes, u.whose())
		}
	}
	return notes
}
