package main

import (
	"github.com/spf13/pflag"

	"kcatch/harness/config"
	"kcatch/internal/blame"
)

// unbuilt are the settings of the contract whose effect is not built yet. Asking for one is refused: a boot that ignored
// it would say something about the kernel that was not asked. The default value of each asks for nothing.
var unbuilt = []struct {
	key   string
	asked func(config.Boot) bool
}{
	{"values", func(b config.Boot) bool { return b.Values != "none" }},
}

// markUnbuilt says so in the help.
func markUnbuilt(fs *pflag.FlagSet) {
	for _, u := range unbuilt {
		if f := fs.Lookup(u.key); f != nil {
			f.Usage += " (not built yet)"
		}
	}
}

func refuseUnbuilt(cfg config.Boot, resolved config.Resolved) error {
	for _, u := range unbuilt {
		if !u.asked(cfg) {
			continue
		}
		subject := "--" + u.key
		for _, v := range resolved.Values {
			if v.Key == u.key && v.Origin != "flag" {
				subject = v.Origin + ": " + u.key
			}
		}
		return blame.New(blame.Usage, subject+": not built yet", "leave it out")
	}
	return nil
}
