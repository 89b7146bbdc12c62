package smoke

import (
	"regexp"
	"strconv"
	"strings"

	"kcatch/internal/blame"
	"kcatch/internal/nearest"
)

// Select are the cells whose whole name a glob matches, in their order; an empty glob matches all. * stands for any run of characters,
// "/" too ("*/q35/quiet", "debian-*"), ? for any one, [a-c] for one of these, [^a-c] for one of the others, and \ takes the next
// character as it is. A glob that is none and one that matches nothing are usage errors.
func Select(cells []Cell, glob string) ([]Cell, error) {
	if glob == "" {
		return cells, nil
	}
	match, err := compileGlob(glob)
	if err != nil {
		return nil, blame.New(blame.Usage, "--only "+quoted(glob)+": is no glob", "* stands for anything, ? for one character, [ab] for one of these; \\[ is a bracket")
	}
	var out []Cell
	var names []string
	for _, c := range cells {
		names = append(names, c.Name)
		if match.MatchString(c.Name) {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		hint := "--list names the cells; * stands for anything, / included"
		if near := nearest.Name(glob, append(names, parts(cells)...), 3); near != "" {
			hint = "did you mean " + near + "?"
		}
		return nil, blame.New(blame.Usage, "--only "+quoted(glob)+": no cell has such a name", hint)
	}
	return out, nil
}

// parts are globs that take a kernel, a machine or a command line: what somebody meant who wrote one of their names alone.
func parts(cells []Cell) []string {
	var out []string
	for _, c := range cells {
		out = append(out, c.Kernel+"/*", "*/"+c.Machine, "*/"+c.Machine+"/*")
		if c.Append != "" {
			out = append(out, "*/"+c.Append)
		}
	}
	return out
}

func quoted(glob string) string {
	if len(glob) > 60 {
		glob = glob[:60] + "..."
	}
	return strconv.Quote(glob)
}

// compileGlob translates a glob; package regexp keeps its time linear in the name, whatever the glob.
func compileGlob(glob string) (*regexp.Regexp, error) {
	var b strings.Builder
	b.WriteString("^(?s:")
	for i := 0; i < len(glob); i++ {
		switch c := glob[i]; c {
		case '*':
			b.WriteString(".*")
		case '?':
			b.WriteString(".")
		case '[':
			end := strings.IndexByte(glob[i:], ']')
			if end < 2 {
				return nil, strconv.ErrSyntax
			}
			set := glob[i+1 : i+end]
			not := ""
			if set[0] == '^' || set[0] == '!' {
				not, set = "^", set[1:]
			}
			b.WriteString("[" + not + strings.NewReplacer(`\`, `\\`, "[", `\[`, "^", `\^`, "&", `\&`, "~", `\~`).Replace(set) + "]")
			i += end
		case '\\':
			if i++; i == len(glob) {
				return nil, strconv.ErrSyntax
			}
			b.WriteString(regexp.QuoteMeta(glob[i : i+1]))
		default:
			b.WriteString(regexp.QuoteMeta(glob[i : i+1])) // a part of a letter, it may be: the rest follows
		}
	}
	b.WriteString(")$")
	return regexp.Compile(b.String())
}
