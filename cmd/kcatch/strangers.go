package main

import (
	"os"
	"slices"
	"strings"

	"kcatch/harness/config"
	"kcatch/internal/nearest"
)

// strangers remarks on variables of the environment that look like a setting and are none. They are not refused: another
// version of kcatch may know them.
func strangers(resolved config.Resolved) []string {
	var known []string
	for _, v := range resolved.Values {
		known = append(known, "KCATCH_"+strings.ToUpper(strings.ReplaceAll(v.Key, "-", "_")))
	}
	var out []string
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, "KCATCH_") || slices.Contains(known, name) || slices.Contains(resolved.Elsewhere, name) {
			continue
		}
		remark := name + " in the environment is no setting"
		if near := nearest.Name(name, known, 4); near != "" {
			remark += "; did you mean " + near + "?"
		}
		out = append(out, remark)
	}
	return out
}
