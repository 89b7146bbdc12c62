package config

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/pflag"

	"kcatch/internal/blame"
	"kcatch/internal/nearest"
)

// BindBootFlags defines the flags of a boot on fs, with their help. Values are checked by [ResolveBoot], not while
// flags are parsed, so that those from the environment and from a profile are checked alike.
func BindBootFlags(fs *pflag.FlagSet) {
	fs.SortFlags = false
	bind(fs, bootKeys())
}

func bind(fs *pflag.FlagSet, keys []key) {
	for _, k := range keys {
		switch {
		case k.noFlag:
		case k.form == toggle:
			fs.Bool(k.name, false, k.usage)
		case k.form == list:
			fs.StringArray(k.name, k.def, k.usage)
		default:
			fs.String(k.name, first(k.def), k.usage)
		}
	}
}

func first(v []string) string {
	if len(v) == 0 {
		return ""
	}
	return v[0]
}

// FlagError makes a usage error of what parsing flags says, with the nearest flag of fs for one that is unknown.
func FlagError(fs *pflag.FlagSet, err error) error {
	if err == nil {
		return nil
	}
	var known *blame.Error
	if errors.As(err, &known) {
		return err
	}
	line, _, _ := strings.Cut(err.Error(), "\n")
	e := &blame.Error{Kind: blame.Usage, Msg: line, Hint: "--help lists the flags", Err: err}
	var unknown *pflag.NotExistError
	var needs *pflag.ValueRequiredError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown):
		if len(unknown.GetSpecifiedShortnames()) > 0 {
			break
		}
		var names []string
		fs.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		e.Msg = "unknown flag --" + clip(unknown.GetSpecifiedName())
		if near := nearest.Name(unknown.GetSpecifiedName(), names, lettersPerEdit); near != "" {
			e.Hint = "did you mean --" + near + "?"
		}
	case errors.As(err, &needs):
		e.Msg = fmt.Sprintf("--%s needs a value", needs.GetSpecifiedName())
	case errors.As(err, &invalid) && invalid.GetFlag().Value.Type() == "int":
		e.Msg = fmt.Sprintf("--%s: %q is no whole number", invalid.GetFlag().Name, clip(invalid.GetValue()))
	}
	return e
}
