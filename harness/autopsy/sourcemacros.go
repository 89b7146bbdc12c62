package autopsy

import (
	"strings"

	"kcatch/gdb/value"
)

// macrosOf are the macros that a condition may use: what stands for the parameters of the macros around it (policy is PF_HEAD), and
// the macros of the file that it stands in. A macro with several definitions, by configuration, is left alone: which one was
// compiled is not known here.
func (s site) macrosOf(source string) value.Macros {
	found := map[string]*value.Macro{} // nil: looked for in vain
	for _, u := range s.uses {
		for i, p := range u.params {
			if i < len(u.args) && p != u.args[i] {
				found[p] = &value.Macro{Body: u.args[i]}
			}
		}
	}
	all := s.defined
	return func(name string) (value.Macro, bool) {
		m, known := found[name]
		if !known && value.Known(name) { // compound_head is a macro around a function
			return value.Macro{}, false
		}
		if !known {
			if all == nil {
				all = definitionsOf(strings.Split(source, "\n"))
			}
			m = all.only(name)
			found[name] = m
		}
		if m == nil {
			return value.Macro{}, false
		}
		return *m, true
	}
}

// definitions are where a file defines its macros: the indexes of their first lines, by name.
type definitions struct {
	lines []string
	at    map[string][]int
}

func definitionsOf(lines []string) *definitions {
	d := &definitions{lines: lines, at: make(map[string][]int)}
	for i, l := range lines {
		rest, ok := strings.CutPrefix(strings.TrimLeft(l, " \t"), "#")
		if !ok {
			continue
		}
		if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " \t"), "define"); !ok || rest == "" || rest[0] != ' ' && rest[0] != '\t' {
			continue
		}
		rest = strings.TrimLeft(rest, " \t")
		if name := rest[:nameLength(rest)]; name != "" {
			d.at[name] = append(d.at[name], i)
		}
	}
	return d
}

// nameLength is how many bytes of a name s begins with.
func nameLength(s string) int {
	n := strings.IndexFunc(s, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	})
	if n < 0 {
		return len(s)
	}
	return n
}

// end is the index of the last line of the definition that begins at lines[at].
func (d *definitions) end(at int) int {
	end := at
	for end < len(d.lines)-1 && end < at+maxMacroLines && strings.HasSuffix(strings.TrimRight(d.lines[end], " \t"), "\\") {
		end++
	}
	return end
}

// head takes the first line of a definition apart. params is nil for a macro without parentheses.
func (d *definitions) head(at int, name string) (params []string, function bool, rest string) {
	_, rest, _ = strings.Cut(d.lines[at], "define")
	rest = strings.TrimLeft(rest, " \t")[len(name):]
	if inner, ok := strings.CutPrefix(rest, "("); ok {
		if list, after, ok := strings.Cut(inner, ")"); ok {
			return split(list), true, after
		}
	}
	return nil, false, rest
}

// only is a macro that has one definition; nil for another.
func (d *definitions) only(name string) *value.Macro {
	at := d.at[name]
	if len(at) != 1 {
		return nil
	}
	params, function, rest := d.head(at[0], name)
	body := strings.Join(append([]string{rest}, d.lines[at[0]+1:d.end(at[0])+1]...), "\n")
	return &value.Macro{Function: function, Params: params, Body: uncomment(body)}
}
