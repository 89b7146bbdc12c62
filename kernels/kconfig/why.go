package kconfig

import (
	"fmt"
	"strings"

	"kcatch/internal/nearest"
)

// lettersPerEdit is how near a symbol must be to be meant: one letter in four may differ.
const lettersPerEdit = 4

// explainer says why a symbol has the value it has: what the Kconfig files say, evaluated over a finished configuration.
type explainer struct {
	tree  *tree
	final Config
}

// why is the reason, as a clause, that name did not get the wanted value; near is set when no file defines name.
func (x *explainer) why(name, wanted string) (why, near string) {
	s := x.tree.symbols[name]
	if s == nil {
		near = nearest.Name(name, x.tree.order, lettersPerEdit)
		why = "no Kconfig file of this tree defines it"
		if near != "" {
			why += "; nearest: " + near
		}
		return why, near
	}
	if why := wrongType(s, wanted); why != "" {
		return why, ""
	}
	got := x.final.Value(name)
	switch {
	case s.isTri() && triOf(wanted) < triOf(got):
		return x.whyTooHigh(s, triOf(wanted), triOf(got)), ""
	case s.isTri():
		want := triOf(wanted)
		why, further := x.whyTooLow(s, want)
		if further != nil {
			why += "; " + x.further(further, want)
		}
		return why, ""
	}
	return x.whyOtherValue(s, wanted), ""
}

func (s *symbol) isTri() bool { return s.typ == "bool" || s.typ == "tristate" || s.typ == "" }

// wrongType says that the wanted value is none of the symbol's type.
func wrongType(s *symbol, wanted string) string {
	text := strings.HasPrefix(wanted, "\"")
	letter := isConstant(wanted)
	switch s.typ {
	case "bool":
		if wanted == "m" {
			return "is a bool: y or n, never m"
		}
		if !letter {
			return "is a bool: its value is y or n"
		}
	case "tristate":
		if !letter {
			return "is a tristate: its value is y, m or n"
		}
	case "int", "hex":
		if text || letter && wanted != "n" {
			return "is a number (" + s.typ + ")"
		}
	case "string":
		if !text && wanted != "n" {
			return "is a string: its value stands in double quotes"
		}
	}
	return ""
}

// blocker is a term that keeps a value down, and its value.
type blocker struct {
	term  *expr
	value tri
}

// conditions are the terms that must hold for d to be there, the outermost block's first. With a prompt, they are those
// under which the user may set it.
func (d *definition) conditions(p *prompt) []*expr {
	var terms []*expr
	for _, e := range d.block.conditions(p != nil) {
		terms = e.conjuncts(terms)
	}
	for _, e := range d.depends {
		terms = e.conjuncts(terms)
	}
	if p != nil {
		terms = p.cond.conjuncts(terms)
	}
	return terms
}

func (b *block) conditions(visible bool) []*expr {
	if b == nil {
		return nil
	}
	out := append(b.parent.conditions(visible), b.depends...)
	if visible {
		out = append(out, b.visible...)
		if b.kind == "choice" && len(b.prompts) > 0 && b.prompts[0].cond != nil {
			out = append(out, b.prompts[0].cond)
		}
	}
	return out
}

// blocked returns the terms that are below need. Terms of unknown value follow those that are known to be.
func (x *explainer) blocked(terms []*expr, need tri) []blocker {
	var known, asked []blocker
	for _, t := range terms {
		switch v := x.eval(t); {
		case v == unknown:
			asked = append(asked, blocker{t, v})
		case v < need:
			known = append(known, blocker{t, v})
		}
	}
	return append(known, asked...)
}

// weight is how far blockers are from being lifted: of several definitions the nearest is explained. A symbol that is not
// defined, mostly another architecture's, never will be.
func (x *explainer) weight(b []blocker) int {
	w := 0
	for _, one := range b {
		w++
		if t := one.term; t.op == opSymbol && x.tree.symbols[t.name] == nil {
			w += 100
		}
	}
	return w
}

// need is the least value of a dependency that lets a symbol of this type reach want: m does for a bool.
func (s *symbol) need(want tri) tri {
	if s.typ == "bool" {
		return mod
	}
	return want
}

// whyTooLow explains a bool or tristate below the wanted value. further is what to follow up: a symbol or its
// negation, or nil.
func (x *explainer) whyTooLow(s *symbol, want tri) (why string, further *expr) {
	var best []blocker
	var open *definition
	found, onPrompt := false, false
	for _, d := range s.definitions {
		for i := range d.prompts {
			found = true
			b := x.blocked(d.conditions(&d.prompts[i]), s.need(want))
			if len(b) == 0 {
				open = d
			}
			if best == nil || x.weight(b) < x.weight(best) {
				best = b
				onPrompt = len(x.blocked(d.conditions(nil), s.need(want))) == 0
			}
		}
	}
	switch {
	case !found:
		return x.whyNoPrompt(s, want), nil
	case open != nil:
		return x.whyOpen(s, open, want), nil
	}
	verb := "depends on "
	if onPrompt {
		verb = "can be set by the user only with "
	}
	return verb + x.describe(best), x.follow(best)
}

// follow is the first blocker when it is a defined symbol or the negation of one, else nil.
func (x *explainer) follow(b []blocker) *expr {
	t := b[0].term
	if t.op == opNot {
		t = t.left
	}
	if b[0].value == unknown || t.op != opSymbol || x.tree.symbols[t.name] == nil {
		return nil
	}
	return b[0].term
}

// whyOpen explains a symbol that the user could set and that is below the wanted value all the same.
func (x *explainer) whyOpen(s *symbol, d *definition, want tri) string {
	if c := d.block.choice(); c != nil {
		if other := x.chosen(c, s.name); other != "" {
			return "another member of the choice is chosen: " + other
		}
	}
	if want == mod {
		return "nothing in the tree's Kconfig files forbids it"
	}
	return "nothing in the tree's Kconfig files forbids it; was it in .config before olddefconfig?"
}

// chosen is the member of a choice, other than name, that is y.
func (x *explainer) chosen(c *block, name string) string {
	for _, m := range c.members {
		if m.symbol.name != name && x.final.Value(m.symbol.name) == "y" {
			return m.symbol.name
		}
	}
	return ""
}

// whyNoPrompt explains a symbol that the user cannot set: which selects or defaults would.
func (x *explainer) whyNoPrompt(s *symbol, want tri) string {
	const start = "has no prompt; it is "
	var by []string
	var conds []*expr
	for _, sel := range x.tree.selectors[s.name] {
		if !sel.imply {
			by = appendOnce(by, sel.from.symbol.name)
			conds = sel.cond.conjuncts(conds)
		}
	}
	if len(by) == 1 && triOf(x.final.Value(by[0])) >= want {
		if b := x.blocked(conds, s.need(want)); len(b) > 0 {
			return start + "selected by " + by[0] + " if " + x.describe(b)
		}
	}
	if len(by) > 0 {
		return start + "selected by " + x.selectorNames(by)
	}
	if !s.isTri() {
		if by = s.defaultSymbols(); len(by) > 0 {
			return start + "set by its defaults, which follow from " + list(by, "and")
		}
		return start + "set by its default"
	}
	for _, d := range s.definitions {
		for _, v := range d.defaults {
			terms := v.value.conjuncts(v.cond.conjuncts(d.conditions(nil)))
			if b := x.blocked(terms, s.need(want)); len(b) > 0 {
				return start + "set by its default, which depends on " + x.describe(b)
			}
		}
	}
	return "has no prompt, and nothing in this tree selects it"
}

// selectorNames lists those that would select a symbol, all of them being too low to do it.
func (x *explainer) selectorNames(by []string) string {
	out := list(by, "and")
	if len(by) == 1 {
		return out + ", which is " + x.final.Value(by[0])
	}
	for _, name := range by {
		if x.final.Enabled(name) {
			return out
		}
	}
	return out + ", all of them n"
}

// defaultSymbols are those that the conditions and values of a symbol's defaults name.
func (s *symbol) defaultSymbols() []string {
	var names []string
	for _, d := range s.definitions {
		for _, v := range d.defaults {
			names = v.cond.symbols(names)
		}
	}
	return names
}

// whyTooHigh explains a bool or tristate above the wanted value.
func (x *explainer) whyTooHigh(s *symbol, want, got tri) string {
	var by []string
	for _, sel := range x.tree.selectors[s.name] {
		from := sel.from.symbol
		v := triOf(x.final.Value(from.name))
		if sel.imply || v <= want || x.eval(sel.cond) == no {
			continue
		}
		by = appendOnce(by, from.name)
	}
	if len(by) == 1 {
		return "selected by " + by[0] + " (which is " + x.final.Value(by[0]) + ")"
	}
	if len(by) > 1 {
		return "selected by " + list(by, "and")
	}
	if want == mod && got == yes && x.final.Value("MODULES") == "n" {
		return "MODULES is n, so that m becomes y"
	}
	var best []blocker
	prompts := 0
	for _, d := range s.definitions {
		for i := range d.prompts {
			prompts++
			b := x.blocked(d.conditions(&d.prompts[i]), mod)
			if len(b) == 0 {
				if c := d.block.choice(); c != nil {
					return "is the choice in force; set another of its members: " + list(others(c, s.name), "or")
				}
				return "nothing in the tree's Kconfig files sets it; was the request in .config before olddefconfig?"
			}
			if best == nil || x.weight(b) < x.weight(best) {
				best = b
			}
		}
	}
	if prompts == 0 {
		return "has no prompt; it is set by its default"
	}
	return "is on by default, and can be turned off only with " + x.describe(best)
}

func others(c *block, name string) []string {
	var out []string
	for _, m := range c.members {
		if m.symbol.name != name {
			out = appendOnce(out, m.symbol.name)
		}
	}
	return out
}

// whyOtherValue explains a number or a string.
func (x *explainer) whyOtherValue(s *symbol, wanted string) string {
	low, _ := x.whyTooLow(s, mod)
	open := strings.HasPrefix(low, "nothing in")
	if !open {
		return low
	}
	if _, set := x.final.Get(s.name); wanted == "n" && set {
		return "is a value of type " + s.typ + " and cannot be n"
	}
	for _, d := range s.definitions {
		for _, r := range d.ranges {
			if x.eval(r.cond) != yes || len(x.blocked(d.conditions(nil), mod)) > 0 {
				continue
			}
			bound := &expr{op: opSymbol, name: number(s, wanted)}
			within := func(rel string, limit *expr) bool {
				return x.compare(&expr{op: opCompare, rel: rel, left: bound, right: limit}) == yes
			}
			if !within(">=", r.value) || !within("<=", r.upper) {
				return fmt.Sprintf("out of range: %s to %s", x.text(r.value), x.text(r.upper))
			}
		}
	}
	return low
}

// number is a wanted value with the 0x that a hex symbol does not need.
func number(s *symbol, wanted string) string {
	if s.typ == "hex" && !strings.HasPrefix(strings.ToLower(wanted), "0x") {
		return "0x" + wanted
	}
	return wanted
}

// further is one clause about a term that blocks another symbol, itself a symbol or the negation of one: what it waits
// for in turn, or how to get it.
func (x *explainer) further(term *expr, want tri) string {
	if term.op == opNot {
		name := term.left.name
		why := x.whyTooHigh(x.tree.symbols[name], no, triOf(x.final.Value(name)))
		if strings.HasPrefix(why, "nothing in") {
			return name + " can be turned off: # CONFIG_" + name + " is not set"
		}
		return name + " " + why
	}
	s := x.tree.symbols[term.name]
	if s.typ == "bool" {
		want = yes
	}
	why, _ := x.whyTooLow(s, want)
	if strings.HasPrefix(why, "nothing in") {
		return s.name + " can be turned on: CONFIG_" + s.name + "=" + want.String()
	}
	if strings.HasPrefix(why, "another") {
		return s.name + ": " + why
	}
	return s.name + " " + why
}
