package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"kcatch/internal/blame"
)

// Resolved is every setting with where it came from, in the order of the contract.
type Resolved struct {
	Values []Value
	// Notes are remarks for a person about settings that are allowed and cost something, one line each.
	Notes []string
	// Elsewhere are variables of the environment that begin with KCATCH_ and are no settings here, and nevertheless known: those that
	// a smoke profile names its files by, boot's own that mean nothing to a smoke test, and the settings of other verbs.
	Elsewhere []string
}

// Value is one setting as it was written. Origin is "argument", "flag", the variable ("KCATCH_SMP"), the profile's place
// ("profile quick:2", "ci.yaml:7") or "default".
type Value struct {
	Key, Value, Origin string
}

// ResolveBoot takes the settings of a boot from parsed flags (see [BindBootFlags]), arguments (at most the tree), the
// environment by lookup (os.LookupEnv), a profile and the defaults, and checks them. classes are the classes of death
// by name. Flags of fs that are not a boot's are left alone.
func ResolveBoot(fs *pflag.FlagSet, lookup func(string) (string, bool), args, classes []string) (Boot, Resolved, error) {
	r := &resolver{keys: bootKeys(), v: viper.NewWithOptions(viper.KeyDelimiter("\x00")), origins: map[string]string{}}
	if err := r.layers(fs, lookup, args); err != nil {
		return Boot{}, Resolved{}, err
	}
	var b Boot
	if err := r.put(&b, input{classes: classes}); err != nil {
		return Boot{}, Resolved{}, err
	}
	res := Resolved{Values: r.settings(), Elsewhere: elsewhere(r.keys)}
	if err := r.exclude(&b); err != nil {
		return Boot{}, Resolved{}, err
	}
	res.Notes = notes(&b)
	if !b.Builds() {
		b.Tree, b.Base = "", ""
		for i := range res.Values {
			if v := &res.Values[i]; v.Key == "tree" || v.Key == "base" {
				v.Value = ""
			}
		}
	}
	return b, res, nil
}

// put checks every setting and stores it.
func (r *resolver) put(b *Boot, in input) error {
	for _, k := range r.keys {
		v, err := values(k, r.v.Get(k.name))
		if err == nil && len(v) > 0 {
			err = k.put(b, v, in)
		}
		if err != nil {
			return r.blame(k, err)
		}
	}
	return nil
}

// settings are the values that put took.
func (r *resolver) settings() []Value {
	var out []Value
	for _, k := range r.keys {
		v, _ := values(k, r.v.Get(k.name)) // put has seen the error
		out = append(out, Value{Key: k.name, Value: strings.Join(v, " "), Origin: r.origin(k.name)})
	}
	return out
}

// defaults are the lowest layer.
func (r *resolver) defaults() {
	for _, k := range r.keys {
		if k.form == list {
			r.v.SetDefault(k.name, k.def)
		} else if len(k.def) > 0 {
			r.v.SetDefault(k.name, k.def[0])
		}
	}
}

// resolver holds the layers: defaults as viper's defaults, profile and environment as its config, flags as its
// overrides, which is the order, from the last, in which viper looks.
type resolver struct {
	keys    []key
	v       *viper.Viper
	origins map[string]string // by key; not there for a default
}

func (r *resolver) origin(name string) string {
	if o, ok := r.origins[name]; ok {
		return o
	}
	return "default"
}

func (r *resolver) layers(fs *pflag.FlagSet, lookup func(string) (string, bool), args []string) error {
	if len(args) > 1 {
		return tooManyTrees(args)
	}
	r.defaults()
	env := map[string]any{}
	envOrigin := map[string]string{}
	for _, k := range r.keys {
		name := variable(k.name)
		text, ok := lookup(name)
		if !ok || strings.TrimSpace(text) == "" {
			continue
		}
		envOrigin[k.name] = name
		if env[k.name] = any(text); k.form == list {
			env[k.name] = strings.Fields(text)
		}
	}
	profile, err := r.profileName(fs, env)
	if err != nil {
		return err
	}
	settings := map[string]any{}
	if profile != "" {
		if settings, err = r.readProfile(profile); err != nil {
			return err
		}
	}
	for name, value := range env {
		settings[name] = value
		r.origins[name] = envOrigin[name]
	}
	if err := r.v.MergeConfigMap(settings); err != nil {
		return fmt.Errorf("settings of profile and environment: %w", err)
	}
	return r.flags(fs, args)
}

// variable is the name of a key's environment variable.
func variable(key string) string {
	return "KCATCH_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
}

// profileName is the profile that the flag names, or else the environment. A profile cannot name another.
func (r *resolver) profileName(fs *pflag.FlagSet, env map[string]any) (string, error) {
	if f := fs.Lookup("profile"); f != nil && f.Changed {
		if f.Value.String() == "" {
			return "", blame.New(blame.Usage, "--profile: the value is empty", "leave it out to have no profile")
		}
		return f.Value.String(), nil
	}
	name, _ := env["profile"].(string)
	return name, nil
}

func (r *resolver) flags(fs *pflag.FlagSet, args []string) error {
	if len(args) == 1 {
		r.v.Set("tree", args[0])
		r.origins["tree"] = "argument"
	}
	for _, k := range r.keys {
		f := fs.Lookup(k.name)
		if k.noFlag || f == nil || !f.Changed {
			continue
		}
		if s, ok := f.Value.(pflag.SliceValue); ok {
			r.v.Set(k.name, s.GetSlice())
		} else {
			r.v.Set(k.name, f.Value.String())
		}
		r.origins[k.name] = "flag"
	}
	return nil
}

// values is what a layer holds for a key as texts: one for a text or a toggle, none when nothing is set.
func values(k key, from any) ([]string, error) {
	if from == nil {
		if k.form == toggle {
			return []string{"false"}, nil
		}
		return nil, nil
	}
	switch v := from.(type) {
	case []string:
		return v, nil
	case []any:
		if k.form != list {
			return nil, bad("give it one value", "a list where one value belongs")
		}
		out := make([]string, 0, len(v))
		for _, member := range v {
			s, err := scalar(member, list)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
		return out, nil
	}
	s, err := scalar(from, k.form)
	if err != nil {
		return nil, err
	}
	return []string{s}, nil
}

// scalar is one value as text. YAML makes numbers of 2 and 512, and truth values of true and false.
func scalar(from any, f form) (string, error) {
	s := ""
	switch v := from.(type) {
	case string:
		s = v
	case bool:
		if f != toggle {
			return "", bad("put it into quotes when it is meant as text", "%v where a text belongs", v)
		}
		return fmt.Sprint(v), nil
	case int, int64, uint64, float64:
		s = fmt.Sprint(v)
	default:
		return "", bad("put it into quotes when it is meant as text", "not a value of this setting")
	}
	if f == toggle {
		switch strings.ToLower(s) {
		case "true", "1", "yes", "on":
			return "true", nil
		case "false", "0", "no", "off":
			return "false", nil
		}
		return "", bad("", "%q is neither true nor false", clip(s))
	}
	return s, nil
}

// blame puts the subject, where the value was written, in front of a refusal.
func (r *resolver) blame(k key, err error) error {
	var e *blame.Error
	hint := ""
	if errors.As(err, &e) {
		hint = e.Hint
	}
	return &blame.Error{Kind: blame.Usage, Msg: r.subject(k.name) + ": " + err.Error(), Hint: hint, Err: err}
}

// subject names a setting as the user wrote it: --smp, KCATCH_SMP, ci.yaml:7: smp.
func (r *resolver) subject(name string) string {
	switch o := r.origin(name); {
	case o == "argument":
		return "TREE"
	case o == "flag" || o == "default":
		return "--" + name
	case o == variable(name):
		return o
	default:
		return o + ": " + name
	}
}
