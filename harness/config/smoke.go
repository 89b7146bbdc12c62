package config

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"

	"kcatch/internal/blame"
)

// Smoke is the settings of a smoke test, resolved and checked: a matrix of boots.
type Smoke struct {
	// Boot has what holds for the run as a whole: Tree, Profile, Out, JSON, Quiet, Verbose, NoColor, Plain. The rest of it is what a cell
	// has that no member of the profile says anything of.
	Boot Boot
	// Cells are the matrix without what the profile excludes: kernels, then machines, then command lines, in the profile's order.
	// There is one at least.
	Cells []SmokeCell
	Allow []SmokeAllow

	Retries    int // how often a cell that fails is booted again, 0 to 10
	Jobs       int // boots at a time, 0 to 256; 0: whoever boots chooses
	Keep       int // runs whose artifacts stay, 0 to 100000; 0: the default
	AllowFlaky bool
}

// SmokeCell is one boot of the matrix. Its Boot has no Out, JSON or Profile, which are the run's, and no Expect where the cell must
// live.
type SmokeCell struct {
	Name                    string // kernel/machine, or kernel/machine/append
	Kernel, Machine, Append string // names of members; Append is empty where the profile has no command lines
	Boot                    Boot
	Workload                string // a name of images.Workloads, not checked here; or empty
	Checks                  []SmokeCheck
}

// SmokeCheck is a command that runs in the guest after init. Either Run or Script is set.
type SmokeCheck struct {
	Name   string
	Run    string        // shell text
	Script string        // the name of a file with shell text, which is there
	Limit  time.Duration // whole seconds, 1 s to 1 h; zero: the default
	At     string        // where the profile has it: "ci.yaml:12"
}

// SmokeAllow is a known splat, as verdict.Allow. Expires is a day, 2027-01-31, which may be over.
type SmokeAllow struct {
	Signature, Cells, Owner, Reason, Expires string
}

// defaultSmoke is the profile of a smoke test that names none.
const defaultSmoke = "smoke"

// maxCells bounds a matrix.
const maxCells = 4096

// Boot's settings that are a cell's: those that may also stand on the command line and in the environment, and those that say which
// kernel a member boots that names none.
var (
	cellWide = []string{"patch", "base", "config", "make", "initrd", "modules", "run", "append", "accel", "qemu", "qemu-arg", "until", "timeout",
		"fail-on", "expect", "values", "values-depth", "timeline"}
	ofKernel = []string{"tree", "kernel", "vmlinux", "boot-vmlinux"}
)

// notOfSmoke are boot's flags that mean nothing here, and what to do instead. --only is a glob of another kind here.
var notOfSmoke = []struct{ name, cause, hint string }{
	{"memory", "machines stand in the profile", "machines: [{machine: q35, memory: 1G}]"},
	{"smp", "machines stand in the profile", "machines: [{machine: q35, smp: 2}]"},
	{"machine", "machines stand in the profile", "machines: [{machine: q35}]; --only '*/q35*' takes some of them"},
	{"cpu", "machines stand in the profile", "machines: [{machine: q35, cpu: max}]"},
	{"check", "checks stand in the profile", "checks: [{name: net, run: ip link}]"},
	{"repeat", "a smoke test boots each cell once", "--retries N boots those that fail again; kcatch boot --repeat N counts"},
	{"who-wrote", "a smoke test does not ask it", "kcatch boot --who-wrote does"},
	{"dry-run", "a smoke test has many command lines", "--list shows the cells"},
}

// runKeys are the settings of the run that boot does not have.
func runKeys(s *Smoke) []key {
	return []key{
		{name: "retries", def: []string{"0"}, usage: "boot a cell that fails up to `N` times more, at most 10; one that then passes is flaky",
			put: func(_ *Boot, v []string, _ input) (err error) { s.Retries, err = number(v[0], 0, 10); return err }},
		{name: "jobs", def: []string{"0"}, usage: "boot `N` cells at a time; 0: as many as cores and memory allow",
			put: func(_ *Boot, v []string, _ input) (err error) { s.Jobs, err = number(v[0], 0, 256); return err }},
		{name: "keep", usage: "keep the artifacts of the last `N` runs in your state directory",
			put: func(_ *Boot, v []string, _ input) (err error) { s.Keep, err = number(v[0], 1, 100000); return err }},
		{name: "allow-flaky", form: toggle, usage: "a flaky cell does not fail the run",
			put: func(_ *Boot, v []string, _ input) error { s.AllowFlaky = v[0] == "true"; return nil }},
	}
}

// workloadKey is the one setting of a cell that boot does not have.
func workloadKey(to *string) key {
	return key{name: "workload", usage: "give each guest this `NAME` of work to do once init is up",
		put: func(_ *Boot, v []string, _ input) error { *to = v[0]; return notEmpty(v[0]) }}
}

// BindSmokeFlags defines the settings of a smoke test that may stand on the command line on fs, with their help, and hides those of
// a boot that [ResolveSmoke] refuses.
func BindSmokeFlags(fs *pflag.FlagSet) {
	boot := pflag.NewFlagSet("", pflag.ContinueOnError)
	BindBootFlags(boot)
	fs.SortFlags = false
	bind(fs, append(runKeys(&Smoke{}), workloadKey(new(string))))
	boot.VisitAll(func(f *pflag.Flag) {
		if f.Name != "only" {
			fs.AddFlag(f)
		}
	})
	for _, n := range notOfSmoke {
		if f := fs.Lookup(n.name); f != nil {
			f.Hidden = true
		}
	}
	p := fs.Lookup("profile")
	p.DefValue, p.Usage = defaultSmoke, "the matrix: a `NAME` or a YAML file"
}

// ResolveSmoke takes the settings of a smoke test from parsed flags (see [BindSmokeFlags]), arguments (at most the tree), the
// environment by lookup, a profile and the defaults, and checks them, as [ResolveBoot] does. The profile's members lie between the
// environment and its own top-level keys. Flags of fs that are none of its settings are left alone.
func ResolveSmoke(fs *pflag.FlagSet, lookup func(string) (string, bool), args, classes []string) (Smoke, Resolved, error) {
	var s Smoke
	fail := func(err error) (Smoke, Resolved, error) { return Smoke{}, Resolved{}, err }
	for _, n := range notOfSmoke {
		if f := fs.Lookup(n.name); f != nil && f.Changed {
			return fail(blame.New(blame.Usage, "--"+n.name+": "+n.cause, n.hint))
		}
	}
	if len(args) > 1 {
		return fail(tooManyTrees(args))
	}
	b := &matrixBuilder{in: input{classes: classes}, outside: layersOutside(fs, lookup, args)}
	var workload string
	run := append(bootKeys(), append(runKeys(&s), workloadKey(&workload))...)
	run = slices.DeleteFunc(run, func(k key) bool { return k.name == "only" || isNotOfSmoke(k.name) })

	name := defaultSmoke
	if p, ok := b.outside["profile"]; ok {
		if name = first(p.texts); name == "" {
			return fail(blame.New(blame.Usage, "--profile: the value is empty", "leave it out to have the default, "+defaultSmoke))
		}
	}
	var err error
	if b.file, err = readSmoke(name, lookup); err != nil {
		return fail(err)
	}
	r := &resolver{keys: run}
	r.stack(b.file.top, b.outside)
	if err := r.put(&s.Boot, b.in); err != nil {
		return fail(err)
	}
	if err := r.exclude(&s.Boot); err != nil {
		return fail(err)
	}
	s.Boot.Profile = name
	s.Allow = b.file.allow
	if s.Cells, err = b.cells(); err != nil {
		return fail(err)
	}
	res := Resolved{Values: r.settings(), Notes: b.notes, Elsewhere: b.file.variables}
	for _, n := range notOfSmoke {
		v := variable(n.name)
		if text, ok := lookup(v); ok && strings.TrimSpace(text) != "" {
			res.Notes = append(res.Notes, v+" is not of smoke: "+n.cause)
			res.Elsewhere = append(res.Elsewhere, v)
		}
	}
	res.Elsewhere = append(append(res.Elsewhere, variable("only")), elsewhere(run)...)
	return s, res, nil
}

func isNotOfSmoke(name string) bool {
	for _, n := range notOfSmoke {
		if n.name == name {
			return true
		}
	}
	return false
}

func tooManyTrees(args []string) error {
	return blame.New(blame.Usage, fmt.Sprintf("one TREE at most, and there are %d: %s", len(args), clip(strings.Join(args, " "))),
		"put a flag's value with blanks into quotes")
}

// setting is a value with where it was written.
type setting struct {
	value any // string, bool, []any or []string
	texts []string
	at    string // as [Value.Origin]
}

// settings are values by key.
type settings map[string]setting

// of are those of the settings that are named.
func (s settings) of(names ...[]string) settings {
	out := settings{}
	for _, n := range slices.Concat(names...) {
		if v, ok := s[n]; ok {
			out[n] = v
		}
	}
	return out
}

// layersOutside are the settings of the environment and, over them, of the command line.
func layersOutside(fs *pflag.FlagSet, lookup func(string) (string, bool), args []string) settings {
	out := settings{}
	var s Smoke
	for _, k := range append(bootKeys(), append(runKeys(&s), workloadKey(new(string)))...) {
		if k.name == "only" || isNotOfSmoke(k.name) {
			continue
		}
		if text, ok := lookup(variable(k.name)); ok && strings.TrimSpace(text) != "" {
			words := []string{text}
			value := any(text)
			if k.form == list {
				words = strings.Fields(text)
				value = words
			}
			out[k.name] = setting{value: value, texts: words, at: variable(k.name)}
		}
		f := fs.Lookup(k.name)
		if k.noFlag || f == nil || !f.Changed {
			continue
		}
		if v, ok := f.Value.(pflag.SliceValue); ok {
			out[k.name] = setting{value: v.GetSlice(), texts: v.GetSlice(), at: "flag"}
		} else {
			out[k.name] = setting{value: f.Value.String(), texts: []string{f.Value.String()}, at: "flag"}
		}
	}
	if len(args) == 1 {
		out["tree"] = setting{value: args[0], texts: args, at: "argument"}
	}
	return out
}

// stack fills a resolver: defaults first, then layers, each over those before it.
func (r *resolver) stack(layers ...settings) {
	r.v = viper.NewWithOptions(viper.KeyDelimiter("\x00"))
	r.origins = map[string]string{}
	r.defaults()
	for _, layer := range layers {
		for name, s := range layer {
			r.v.Set(name, s.value)
			r.origins[name] = s.at
		}
	}
}
