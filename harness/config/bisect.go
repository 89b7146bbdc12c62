package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Bisect is the settings of a bisection, resolved and checked.
type Bisect struct {
	Boot        Boot
	Match       string   // one of those that [ResolveBisect] was given
	Confidence  float64  // above 0.5 and below 1
	Jobs        int      // commits at a time, 1 to 64
	FirstParent bool     // of a merge
	Fixed       bool     // GOOD is the newer one
	PatchFix    []string // COMMIT:FILE, both not empty
}

// bisectKeys are the settings of a bisection that boot does not have.
func bisectKeys(s *Bisect, matches []string) []key {
	return []key{
		{name: "match", def: []string{"signature"}, usage: "what makes a death the one that is looked for (`HOW`): signature, class or any",
			put: func(_ *Boot, v []string, _ input) error {
				if s.Match = v[0]; !slices.Contains(matches, v[0]) {
					return bad(didYouMean(v[0], matches), "%q is not one of %s", clip(v[0]), strings.Join(matches, ", "))
				}
				return nil
			}},
		{name: "confidence", def: []string{"0.99"}, usage: "how sure the answer must be: a `PROBABILITY` above 0.5 and below 1",
			put: func(_ *Boot, v []string, _ input) (err error) {
				if s.Confidence, err = strconv.ParseFloat(v[0], 64); err != nil || !(s.Confidence > 0.5 && s.Confidence < 1) {
					return bad("0.99 is wrong once in a hundred bisections", "%s is not above 0.5 and below 1", clip(v[0]))
				}
				return nil
			}},
		{name: "jobs", def: []string{"1"}, usage: "commits that are tried at once (`N`): built one after the other, booted together",
			put: func(_ *Boot, v []string, _ input) (err error) {
				if s.Jobs, err = strconv.Atoi(v[0]); err != nil || s.Jobs < 1 || s.Jobs > 64 {
					return bad("", "%s is not from 1 to 64", clip(v[0]))
				}
				return nil
			}},
		{name: "first-parent", form: toggle, usage: "follow only the first parent of a merge",
			put: func(_ *Boot, v []string, _ input) error { s.FirstParent = v[0] == "true"; return nil }},
		{name: "fixed", form: toggle, usage: "GOOD is the newer one: find what ended the death",
			put: func(_ *Boot, v []string, _ input) error { s.Fixed = v[0] == "true"; return nil }},
		{name: "patch-fix", form: list, usage: "from COMMIT on, FILE stands in for the patches (`COMMIT:FILE`); may be repeated",
			put: func(_ *Boot, v []string, _ input) error {
				s.PatchFix = v
				for _, f := range v {
					if commit, file, ok := strings.Cut(f, ":"); !ok || commit == "" || file == "" {
						return bad("--patch-fix v6.1.20:pgflags-new.diff", "%s: not COMMIT:FILE", clip(f))
					}
				}
				return nil
			}},
	}
}

// BindBisectFlags defines the settings of a bisection on fs, with their help: its own, then those of a boot.
func BindBisectFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	bind(fs, bisectKeys(&Bisect{}, nil))
	BindBootFlags(fs)
}

// ResolveBisect takes the settings of a bisection from parsed flags (see [BindBisectFlags]), the environment by lookup, a profile and the
// defaults, and checks them, as [ResolveBoot] does. matches are the ways to compare deaths. The tree is the one that environment or
// profile name; --tree is the verb's own flag.
func ResolveBisect(fs *pflag.FlagSet, lookup func(string) (string, bool), classes, matches []string) (Bisect, Resolved, error) {
	var s Bisect
	r := &resolver{keys: append(bootKeys(), bisectKeys(&s, matches)...), v: viper.NewWithOptions(viper.KeyDelimiter("\x00")), origins: map[string]string{}}
	err := r.layers(fs, lookup, nil)
	if err == nil {
		err = r.put(&s.Boot, input{classes: classes})
	}
	if err == nil {
		err = r.exclude(&s.Boot)
	}
	if err != nil {
		return Bisect{}, Resolved{}, err
	}
	return s, Resolved{Values: r.settings(), Notes: notes(&s.Boot), Elsewhere: elsewhere(r.keys)}, nil
}

// loops are the verbs whose settings a boot does not have.
func loops() []struct {
	verb string
	keys []key
} {
	return []struct {
		verb string
		keys []key
	}{
		{"bisect", bisectKeys(&Bisect{}, nil)},
		{"smoke", append(runKeys(&Smoke{}), workloadKey(new(string)))},
	}
}

// verbsOf are the loops that have a setting: "bisect and smoke"; empty when there is none.
func verbsOf(name string) string {
	var verbs []string
	for _, l := range loops() {
		if slices.ContainsFunc(l.keys, func(k key) bool { return k.name == name }) {
			verbs = append(verbs, l.verb)
		}
	}
	return strings.Join(verbs, " and ")
}

// elsewhere are the variables of settings that only other verbs have.
func elsewhere(keys []key) []string {
	var out []string
	for _, l := range loops() {
		for _, k := range l.keys {
			if !slices.ContainsFunc(keys, func(o key) bool { return o.name == k.name }) {
				out = append(out, variable(k.name))
			}
		}
	}
	return out
}

// otherVerb is the hint for a key that only other verbs have; empty for others.
func otherVerb(name string) string {
	if verbs := verbsOf(name); verbs != "" {
		return fmt.Sprintf("it is a setting of kcatch %s", verbs)
	}
	return ""
}
