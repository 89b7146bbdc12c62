package report

import (
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// besideFrames is where the variables of a frame begin: under its function's name, and a step in.
const besideFrames = "        "

// variables prints the variables of a frame, a line each, arguments first. Those without a value share the last line.
func (t *text) variables(vars []verdict.Arg) {
	var lost []string
	for _, local := range []bool{false, true} {
		for _, v := range vars {
			if v.Local != local {
				continue
			}
			name := Clean(v.Name, 60)
			if unknown(v.Value) {
				if !slices.Contains(lost, name) && !(local && ofMacro(name)) {
					lost = append(lost, name)
				}
				continue
			}
			line := t.fit(declared(v) + " = " + Clean(v.Value, 0))
			if local {
				line = t.style.dim(line)
			}
			t.line("%s%s", besideFrames, line)
		}
	}
	if len(lost) > 0 {
		t.line("%s%s", besideFrames, t.style.dim(t.fit("no value: "+strings.Join(lost, ", "))))
	}
}

// declared is C's declaration of a variable, in which the name may stand inside the type.
func declared(v verdict.Arg) string {
	if v.Declaration != "" {
		return Clean(v.Declaration, 120)
	}
	return Clean(v.Type, 60) + " " + Clean(v.Name, 60)
}

// unknown reports whether a value's text is the reason why there is none; result.json has it.
func unknown(value string) bool {
	return strings.HasPrefix(value, "<optimized out") || strings.HasPrefix(value, "<cannot ")
}

// ofMacro reports whether a local has a name that the kernel's macros give: __vpp_verify, pscr_ret__, __UNIQUE_ID_v_410.
func ofMacro(name string) bool { return strings.HasPrefix(name, "__") || strings.HasSuffix(name, "__") }

// fit cuts a line beside a frame to the terminal.
func (t *text) fit(s string) string {
	if t.style.Width <= 0 {
		return s
	}
	return fitted(s, t.style.Width-len(besideFrames))
}

// fitted cuts a line to so many columns.
func fitted(s string, columns int) string {
	if r := []rune(s); len(r) > columns && columns > 1 {
		return string(r[:columns-1]) + "…"
	}
	return s
}
