package bisect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels/kconfig"
)

// change is a symbol in which two configurations differ.
type change struct{ symbol, good, bad string }

func (c change) String() string {
	return fmt.Sprintf("CONFIG_%s=%s (good: %s)", c.symbol, c.bad, c.good)
}

// changes lists the symbols in which the dying configuration differs, in its order; those that only the other one has on come last.
func changes(good, bad kconfig.Config) []change {
	var list []change
	for _, o := range bad.Options() {
		if g := good.Value(o.Symbol); g != o.Value {
			list = append(list, change{o.Symbol, g, o.Value})
		}
	}
	for _, o := range good.Options() {
		if _, ok := bad.Get(o.Symbol); !ok && o.Value != "n" {
			list = append(list, change{o.Symbol, o.Value, "n"})
		}
	}
	return list
}

// mixed is the good configuration with some symbols as the bad one has them.
func mixed(good kconfig.Config, part []change) (kconfig.Config, error) {
	var top kconfig.Config
	for _, c := range part {
		if err := top.Set(c.symbol, c.bad); err != nil {
			return top, err
		}
	}
	return kconfig.Merge(good, top), nil
}

// configSearch looks for the symbols of a configuration that a death hangs on.
type configSearch struct {
	r      *Runner
	good   kconfig.Config
	dir    string                                                 // where configurations are written for the build
	build  func(ctx context.Context, base string) (Kernel, error) // of a .config file
	config func(k Kernel) (kconfig.Config, error)                 // what the build made of it
	told   map[string]Outcome
	images map[string]string // image -> the first key that had it
}

// key names a set of symbols in the log.
func configKey(part []change) string {
	h := sha256.New()
	for _, c := range part {
		fmt.Fprintf(h, "%s=%s\n", c.symbol, c.bad)
	}
	return fmt.Sprintf("config %d %s", len(part), hex.EncodeToString(h.Sum(nil)[:8]))
}

// try boots the good configuration with some symbols of the bad one until it is known whether it dies. role is empty within the search.
func (s *configSearch) try(ctx context.Context, part []change, role string) (Outcome, error) {
	key := configKey(part)
	if o, ok := s.told[key]; ok {
		return o, nil
	}
	var c tally
	var extra string
	end := func(o Outcome, why string) (Outcome, error) {
		s.told[key] = o
		if extra != "" {
			why += "; " + extra
		}
		step := s.r.step("", o, c, why, role)
		step.Subject = describe(part)
		s.r.report(step)
		return o, s.r.Log.Write(Record{Type: "trial", Time: s.r.tester.stamp(), Commit: key, Outcome: string(o), Reason: why})
	}
	for {
		rec, err := s.r.tester.once(ctx, key, func(ctx context.Context) (Kernel, error) { return s.make(ctx, part, &extra) }, func(k Kernel) error {
			if twin, ok := s.images[k.Image]; ok && k.Image != "" && twin != key && c.boots == 0 && s.told[twin] != "" {
				return errTwin{outcome: s.told[twin]}
			}
			return nil
		})
		var skip errSkip
		var twin errTwin
		switch {
		case errors.As(err, &twin):
			return end(twin.outcome, "the same image as one that was tried")
		case errors.As(err, &skip):
			c.seconds += rec.Seconds
			return end(Skipped, skip.reason)
		case err != nil:
			return "", err
		}
		if rec.Image != "" && s.images[rec.Image] == "" {
			s.images[rec.Image] = key
		}
		if role == "bad end" && rec.Outcome != string(verdict.Good) {
			s.r.faces.Learn(rec.Signature)
		}
		c.count(rec, s.r.faces.Fits)
		switch {
		case role == "bad end":
			if c.boots < learnBoots || c.lived > 0 && c.died < learnDeaths && c.boots < endBoots {
				continue
			}
			s.r.search.EndDied, s.r.search.EndSurvived = c.died, c.lived
			s.r.out.Died, s.r.out.DiedOf, s.r.out.Signature, s.r.out.After = c.died, c.boots, c.signature, c.chain
			if c.died == 0 {
				return end(Lives, fmt.Sprintf("lived in all of %d boots", c.lived))
			}
			return end(Dies, c.summary)
		case c.died > 0:
			return end(Dies, c.summary)
		case c.decoys >= maxDecoys:
			return end(Skipped, "another death: "+c.summary)
		case c.lived > 0 && (missed(s.r.search.EndDied, s.r.search.EndSurvived, c.lived) <= 1-s.r.Confidence || c.lived >= maxBoots):
			if role == "good end" {
				s.r.out.Before = []string{rec.Summary}
			}
			return end(Lives, livedReason(c.lived))
		}
	}
}

// make builds a mixture, and notes what kconfig made of it: a symbol whose dependencies are off does not take, and one may turn on others.
func (s *configSearch) make(ctx context.Context, part []change, extra *string) (Kernel, error) {
	conf, err := mixed(s.good, part)
	if err != nil {
		return Kernel{}, blame.New(blame.Usage, "configuration: "+err.Error(), "")
	}
	name := filepath.Join(s.dir, strings.ReplaceAll(configKey(part), " ", "-")+".config")
	if err := os.WriteFile(name, conf.Render(), 0o644); err != nil {
		return Kernel{}, disk("configuration", name, err)
	}
	k, err := s.build(ctx, name)
	if err != nil || s.config == nil {
		return k, err
	}
	if final, ferr := s.config(k); ferr == nil {
		*extra = took(part, final)
	}
	return k, nil
}

// took says which symbols of a part are not in the configuration that was built.
func took(part []change, final kconfig.Config) string {
	var lost []string
	for _, c := range part {
		if final.Value(c.symbol) != c.bad {
			lost = append(lost, c.symbol)
		}
	}
	if len(lost) == 0 {
		return ""
	}
	more := ""
	if len(lost) > 3 {
		more = fmt.Sprintf(" and %d more", len(lost)-3)
	}
	return "kconfig did not take " + strings.Join(lost[:min(len(lost), 3)], ", ") + more
}

// describe names a set of symbols in a line.
func describe(part []change) string {
	switch len(part) {
	case 0:
		return "none of the symbols"
	case 1:
		return part[0].String()
	}
	return fmt.Sprintf("%d symbols, %s to %s", len(part), part[0].symbol, part[len(part)-1].symbol)
}

// run finds the symbols.
func (s *configSearch) run(ctx context.Context, all []change) error {
	out := &s.r.out
	o, err := s.try(ctx, all, "bad end")
	if err == nil && o != Dies {
		out.EndsWrong, out.Reason = true, "BAD is "+string(verdictOf(o))+": "+out.Steps[len(out.Steps)-1].Reason
		return nil
	}
	if err != nil {
		return err
	}
	if o, err = s.try(ctx, nil, "good end"); err != nil {
		return err
	}
	if o != Lives {
		out.EndsWrong, out.Reason = true, "GOOD is "+string(verdictOf(o))+": "+out.Steps[len(out.Steps)-1].Reason
		return nil
	}
	least, err := reduce(ctx, all, func(ctx context.Context, part []change) (Outcome, error) { return s.try(ctx, part, "") })
	if err != nil {
		return err
	}
	for _, c := range least {
		out.Symbols = append(out.Symbols, c.String())
	}
	out.Confidence = s.r.Confidence
	out.Verified.Culprit, out.Verified.Parent = string(verdict.Bad), string(verdict.Good)
	rest := slices.DeleteFunc(slices.Clone(all), func(c change) bool { return slices.Contains(least, c) })
	if o, err = s.try(ctx, rest, "revert"); err != nil {
		return err
	}
	out.Verified.Revert = "untested"
	if o != Skipped {
		out.Verified.Revert = string(verdictOf(o))
	}
	if o == Dies {
		s.r.note("BAD without them dies too: another set of symbols does the same")
	}
	return nil
}

// readConfigs reads two configurations and lists what differs.
func readConfigs(goodName, badName string) (good kconfig.Config, all []change, err error) {
	read := func(what, name string) (kconfig.Config, error) {
		data, err := os.ReadFile(name)
		if err != nil {
			return kconfig.Config{}, blame.New(blame.Usage, "--configs: "+what+": "+err.Error(), "name two .config files")
		}
		c, err := kconfig.Parse(bytes.NewReader(data))
		if err == nil && c.Len() == 0 {
			err = errors.New("it sets no symbol")
		}
		if err != nil {
			return c, blame.New(blame.Usage, "--configs: "+name+": not a kernel configuration: "+err.Error(), "its lines are CONFIG_NAME=value")
		}
		return c, nil
	}
	good, err = read("GOOD", goodName)
	if err != nil {
		return good, nil, err
	}
	bad, err := read("BAD", badName)
	if err != nil {
		return good, nil, err
	}
	if all = changes(good, bad); len(all) == 0 {
		return good, nil, blame.New(blame.Usage, "--configs: both set every symbol alike", "")
	}
	return good, all, nil
}

// searchConfigs runs a search over configurations.
func (s *session) searchConfigs(ctx context.Context) (verdict.Bisect, error) {
	return s.logged(ctx, func(out string, log *Log) (verdict.Bisect, error) {
		stand := &Stand{Plan: s.req.Plan, Out: out, Progress: s.listener.Progress}
		dir := filepath.Join(out, "configs")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return verdict.Bisect{}, disk("bisect", dir, err)
		}
		r := &Runner{
			Options: Options{Match: s.req.Match, Confidence: s.req.Confidence, Jobs: 1}, Graph: &Graph{}, Lab: Lab{Boot: stand.Boot},
			Log: log, Recorded: s.records, Rewrite: !s.same, Say: s.listener.Say, Step: s.listener.Step,
		}
		search := &configSearch{
			good: s.config, dir: dir,
			build: func(ctx context.Context, base string) (Kernel, error) {
				req := *s.req.Plan.Build
				req.Base = base
				return stand.make(ctx, req)
			},
			config: func(k Kernel) (kconfig.Config, error) {
				data, err := os.ReadFile(k.Config)
				if err != nil {
					return kconfig.Config{}, err
				}
				return kconfig.Parse(bytes.NewReader(data))
			},
		}
		return search.search(ctx, r, s.changes)
	})
}

// search runs the search by a runner.
func (s *configSearch) search(ctx context.Context, r *Runner, all []change) (verdict.Bisect, error) {
	r.prepare()
	s.r, s.told, s.images = r, map[string]Outcome{}, map[string]string{}
	r.out.Commits = 0
	return r.ended(ctx, s.run(ctx, all))
}
