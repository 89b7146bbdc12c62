package autopsy

import (
	"regexp"
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
	var lines []string
	return func(name string) (value.Macro, bool) {
		m, known := found[name]
		if !known {
			if lines == nil {
				lines = strings.Split(source, "\n")
			}
			m = define(lines, name)
			found[name] = m
		}
		if m == nil {
			return value.Macro{}, false
		}
		return *m, true
	}
}

// define finds a macro's only definition.
func define(lines []string, name string) (m *value.Macro) {
	head := regexp.MustCompile(`^\s*#\s*define\s+` + regexp.QuoteMeta(name) + `(?:\(([^)]*)\)|\s|$)`)
	for i, l := range lines {
		at := head.FindStringSubmatchIndex(l)
		if at == nil {
			continue
		}
		if m != nil {
			return nil
		}
		end := i
		for end < len(lines)-1 && end < i+maxMacroLines && strings.HasSuffix(strings.TrimRight(lines[end], " \t"), "\\") {
			end++
		}
		m = &value.Macro{Body: uncomment(strings.Join(append([]string{l[at[1]:]}, lines[i+1:end+1]...), "\n"))}
		if at[2] >= 0 {
			m.Function, m.Params = true, split(l[at[2]:at[3]])
		}
	}
	return m
}
