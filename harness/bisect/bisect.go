package bisect

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"kcatch/harness"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/shell"
	"kcatch/kernels"
	"kcatch/kernels/kconfig"
)

// Request is a bisection, as it is asked for.
type Request struct {
	Tree        string // a directory of the repository
	Good, Bad   string // revisions; without Resume both or, with Replay, none
	Paths       []string
	Plan        harness.Plan // with Build; its tree is not used
	Match       Match
	Confidence  float64
	Jobs        int
	FirstParent bool
	Fixed       bool
	Fixes       []PatchFix // Commit may be any revision
	Out         string     // empty: a new directory in the user's state directory
	// Configs are two .config files, one that lives and one that dies: the search is over the symbols in which they differ, on the tree
	// that Plan builds. Tree, Good, Bad and what belongs to commits are not used then.
	Configs [2]string

	Resume bool   // go on with the last one of Tree, or with the one in Out
	Replay string // take the boots of this log
}

// Listener is told what a bisection does. Every field may be nil.
type Listener struct {
	Progress harness.Progress
	Say      func(line string)
	Step     func(verdict.BisectStep)
}

// settings are what a log keeps of a request, so that it can go on without its command line.
type settings struct {
	Tree        string       `json:"tree"`
	Paths       []string     `json:"paths,omitempty"`
	Plan        harness.Plan `json:"plan"`
	Match       Match        `json:"match"`
	Confidence  float64      `json:"confidence"`
	Jobs        int          `json:"jobs"`
	FirstParent bool         `json:"first_parent,omitempty"`
	Fixed       bool         `json:"fixed,omitempty"`
	Fixes       []PatchFix   `json:"fixes,omitempty"`
	Configs     [2]string    `json:"configs,omitzero"`
	// Files are the contents of what Plan, Fixes and Configs name: SHA-256 in hex by name.
	Files map[string]string `json:"files,omitempty"`
}

// contents are the hashes of the files that a request names; names that are no files have none.
func contents(r Request) map[string]string {
	sums := map[string]string{}
	names := slices.Concat(r.Plan.Build.Patches, r.Plan.Build.Fragments, []string{r.Plan.Build.Base, r.Plan.Initrd}, r.Configs[:])
	for _, f := range r.Fixes {
		names = append(names, f.File)
	}
	for _, name := range names {
		if data, err := os.ReadFile(name); err == nil {
			sum := sha256.Sum256(data)
			sums[name] = hex.EncodeToString(sum[:])
		}
	}
	return sums
}

// LogName is the log's file in the directory of a run.
const LogName = "log.jsonl"

// session is a bisection under way.
type session struct {
	req      Request
	listener Listener
	source   Source
	clone    *Clone
	good     string
	bad      string
	span     Range
	records  []Record // of an earlier run
	same     bool     // it is the same run, which goes on

	config  kconfig.Config // of a search over configurations: the good one,
	changes []change       // and what the bad one has otherwise
}

// Run bisects. The result is whole also when there is no culprit; an error says that the search came to no end, and what there is
// of a result comes with it.
func Run(ctx context.Context, req Request, l Listener) (verdict.Bisect, error) {
	s := &session{req: req, listener: l}
	defer func() {
		if s.clone != nil {
			_ = s.clone.Close()
		}
	}()
	if err := s.open(ctx); err != nil {
		return verdict.Bisect{Schema: verdict.BisectSchema, Steps: []verdict.BisectStep{}, Error: &verdict.Error{Message: err.Error(), Hint: blame.Hint(err)}}, err
	}
	if s.req.Configs != ([2]string{}) {
		return s.searchConfigs(ctx)
	}
	return s.search(ctx)
}

// Preview says what a bisection would do.
func Preview(ctx context.Context, req Request) (string, error) {
	s := &session{req: req}
	defer func() {
		if s.clone != nil {
			_ = s.clone.Close()
		}
	}()
	if err := s.open(ctx); err != nil {
		return "", err
	}
	var b strings.Builder
	if s.req.Configs != ([2]string{}) {
		fmt.Fprintf(&b, "%d symbols differ: about %d steps when one is at fault\n", len(s.changes), 2*steps(len(s.changes)))
		for _, c := range s.changes[:min(len(s.changes), 40)] {
			fmt.Fprintln(&b, c)
		}
		return b.String(), nil
	}
	n := s.span.Graph.Len()
	fmt.Fprintf(&b, "%d commits between %s and %s: about %d steps\n", n, short(s.good), short(s.bad), steps(n))
	for _, base := range s.span.Bases {
		fmt.Fprintf(&b, "first the merge base %s %s\n", short(base), s.clone.Subject(base))
	}
	search := Search{Graph: s.span.Graph}
	search.Top, _ = s.span.Graph.Find(s.newEnd())
	for _, m := range search.Next(search.State(), max(1, s.req.Jobs)) {
		fmt.Fprintf(&b, "then %s %s\n", short(s.span.Graph.IDs[m]), s.clone.Subject(s.span.Graph.IDs[m]))
	}
	return b.String(), nil
}

// steps is how many commits of n a search tries when all can be tested.
func steps(n int) int { return int(math.Ceil(math.Log2(float64(max(1, n))))) }

func (s *session) newEnd() string {
	if s.req.Fixed {
		return s.good
	}
	return s.bad
}

func (s *session) oldEnd() string {
	if s.req.Fixed {
		return s.bad
	}
	return s.good
}

// open checks everything that can be checked before anything is checked out, built or booted.
func (s *session) open(ctx context.Context) error {
	if err := s.remember(); err != nil {
		return err
	}
	var err error
	if s.req.Configs != ([2]string{}) {
		if s.config, s.changes, err = readConfigs(s.req.Configs[0], s.req.Configs[1]); err != nil {
			return err
		}
		return harness.Check(ctx, s.req.Plan)
	}
	if s.source, err = OpenSource(ctx, s.req.Tree); err != nil {
		return err
	}
	good, bad := s.req.Good, s.req.Bad
	if good == "" && len(s.records) > 0 {
		good, bad = s.records[0].Good, s.records[0].Bad
	}
	if s.good, err = s.source.Resolve(ctx, "GOOD", good); err != nil {
		return err
	}
	if s.bad, err = s.source.Resolve(ctx, "BAD", bad); err != nil {
		return err
	}
	for i, f := range s.req.Fixes {
		if s.req.Fixes[i].Commit, err = s.source.Resolve(ctx, "--patch-fix", f.Commit); err != nil {
			return err
		}
	}
	if err := s.check(ctx); err != nil {
		return err
	}
	cache, err := (&kernels.Builder{Cache: s.req.Plan.Cache}).CacheDir()
	if err != nil {
		return err
	}
	if s.clone, err = OpenClone(ctx, s.source, cache); err != nil {
		return err
	}
	if err := s.clone.isKernel(ctx, s.bad); err != nil {
		return err
	}
	s.span, err = s.clone.Range(ctx, s.oldEnd(), s.newEnd(), s.req.FirstParent, s.req.Paths)
	return err
}

// remember reads the log that is to be gone on with.
func (s *session) remember() error {
	name := s.req.Replay
	if s.req.Resume {
		dir, err := s.last()
		if err != nil {
			return err
		}
		name, s.req.Out, s.same = filepath.Join(dir, LogName), dir, true
	}
	if name == "" {
		return nil
	}
	f, err := os.Open(name)
	if err != nil {
		return blame.New(blame.Usage, "log: "+err.Error(), "name the "+LogName+" of a bisection")
	}
	defer f.Close()
	if s.records, err = ReadLog(f); err != nil {
		return blame.New(blame.Usage, "log: "+name+": "+err.Error(), "name the "+LogName+" of a bisection")
	}
	if !s.same {
		return nil
	}
	var old settings
	if err := json.Unmarshal(s.records[0].Settings, &old); err != nil {
		return blame.New(blame.Usage, "log: "+name+": its settings are damaged: "+err.Error(), "--replay "+name+" takes its boots with other settings")
	}
	if old.Plan.Build == nil {
		return blame.New(blame.Usage, "log: "+name+": its settings say nothing of a build", "begin anew")
	}
	s.req = Request{
		Tree: old.Tree, Paths: old.Paths, Plan: old.Plan, Match: old.Match, Confidence: old.Confidence, Jobs: old.Jobs,
		FirstParent: old.FirstParent, Fixed: old.Fixed, Fixes: old.Fixes, Configs: old.Configs, Out: s.req.Out, Resume: true,
	}
	now := contents(s.req)
	for _, file := range slices.Sorted(maps.Keys(old.Files)) {
		if now[file] != old.Files[file] {
			return blame.New(blame.Usage, "--resume: "+file+" has changed since", "kcatch bisect --replay "+shell.Word(name)+" takes the boots that were made with the old one, if you want that")
		}
	}
	return nil
}

// last is the directory of the last bisection of the tree that has not come to its end.
func (s *session) last() (string, error) {
	if s.req.Out != "" {
		return s.req.Out, nil
	}
	state, err := harness.StateDir()
	if err != nil {
		return "", &blame.Error{Kind: blame.Infrastructure, Msg: "bisect: " + err.Error(), Hint: "name its directory with --out", Err: err}
	}
	list, _ := filepath.Glob(filepath.Join(state, "bisects", "*", LogName))
	tree, err := filepath.Abs(s.req.Tree)
	if err != nil {
		return "", err
	}
	slices.Sort(list) // their names begin with the time
	for _, name := range slices.Backward(list) {
		f, err := os.Open(name)
		if err != nil {
			continue
		}
		records, err := ReadLog(f)
		_ = f.Close()
		var old settings
		if err != nil || json.Unmarshal(records[0].Settings, &old) != nil || old.Tree != tree || records[len(records)-1].Type == "end" {
			continue
		}
		return filepath.Dir(name), nil
	}
	return "", blame.New(blame.Usage, "--resume: no bisection of "+s.req.Tree+" was broken off", "kcatch bisect GOOD BAD begins one; --out names another's directory")
}

// check refuses what cannot work: files, tools, machine. The patches are tried on each commit, not here.
func (s *session) check(ctx context.Context) error {
	plan := s.req.Plan
	build := *plan.Build
	build.Tree = kernels.DefaultTree // is there or not: only the other arguments are looked at
	for _, f := range s.req.Fixes {
		build.Patches = append(slices.Clone(build.Patches), f.File)
	}
	plan.Build = &build
	return harness.Check(ctx, plan)
}

// search runs the search over commits.
func (s *session) search(ctx context.Context) (verdict.Bisect, error) {
	return s.logged(ctx, func(out string, log *Log) (verdict.Bisect, error) {
		if n := s.source.Dirty(ctx); n > 0 && s.listener.Say != nil {
			s.listener.Say(fmt.Sprintf("%s has %d changed files: they are not part of any commit, and are left out", s.req.Tree, n))
		}
		jobs := affordable(s.req.Jobs, s.req.Plan.Memory, harness.AvailableMemory())
		if jobs < s.req.Jobs && s.listener.Say != nil {
			s.listener.Say(fmt.Sprintf("--jobs %d: there is memory for %d guests of %d MiB", s.req.Jobs, jobs, s.req.Plan.Memory>>20))
		}
		stand := &Stand{Clone: s.clone, Plan: s.req.Plan, Fixes: s.req.Fixes, Graph: s.span.Graph, Out: out, Progress: s.listener.Progress}
		r := Runner{
			Options: Options{Good: s.good, Bad: s.bad, Fixed: s.req.Fixed, Match: s.req.Match, Confidence: s.req.Confidence, Jobs: jobs, Bases: s.span.Bases},
			Graph:   s.span.Graph, Lab: stand.Lab(), Log: log, Recorded: s.records, Rewrite: !s.same, Say: s.listener.Say, Step: s.listener.Step,
		}
		res, err := r.Run(ctx)
		if err == nil && res.Culprit != "" {
			about, aerr := s.clone.About(ctx, res.Culprit)
			res.Subject, res.Author, res.Date, res.Diffstat = about.Subject, about.Author, about.Date, about.Diffstat
			err = aerr
		}
		return res, err
	})
}

// logged runs a search with its log, and writes what it came to beside it.
func (s *session) logged(ctx context.Context, search func(out string, log *Log) (verdict.Bisect, error)) (verdict.Bisect, error) {
	none := verdict.Bisect{Schema: verdict.BisectSchema, Steps: []verdict.BisectStep{}}
	out, err := OutDir(s.req.Out, time.Now())
	if err != nil {
		return none, err
	}
	name := filepath.Join(out, LogName)
	if !s.same {
		if st, err := os.Stat(name); err == nil && st.Size() > 0 {
			return none, blame.New(blame.Usage, "--out "+out+": holds another bisection", "go on with it by --resume --out, or name another directory")
		}
	}
	log, err := OpenLog(name)
	if err != nil {
		return none, err
	}
	defer log.Close()
	if !s.same {
		if err := s.begin(log); err != nil {
			return none, err
		}
	}
	res, err := search(out, log)
	res.Log = name
	if err != nil && (blame.Of(err) == blame.Interrupted || blame.Hint(err) == "") {
		err = &blame.Error{Kind: blame.Of(err), Msg: err.Error(), Err: err, Hint: "go on with kcatch bisect --resume --out " + shell.Word(out)}
	}
	return res, errors.Join(err, s.keep(out, name, &res))
}

// begin writes the first line of a log.
func (s *session) begin(log *Log) error {
	tree, err := filepath.Abs(s.req.Tree)
	if err != nil {
		return err
	}
	set, err := json.Marshal(settings{
		Tree: tree, Paths: s.req.Paths, Plan: s.req.Plan, Match: s.req.Match, Confidence: s.req.Confidence, Jobs: s.req.Jobs,
		FirstParent: s.req.FirstParent, Fixed: s.req.Fixed, Fixes: s.req.Fixes, Configs: s.req.Configs, Files: contents(s.req),
	})
	if err != nil {
		return err
	}
	return log.Write(Record{Type: "start", Time: time.Now().UTC().Format(time.RFC3339), Schema: logSchema, Good: s.good, Bad: s.bad, Settings: set})
}

// Files beside the log.
const (
	resultName     = "result.json"
	reportName     = "report.txt"
	regressionName = "regression.txt"
	replayName     = "git-bisect.log" // for "git bisect replay"
)

// keep writes the result beside the log.
func (s *session) keep(out, log string, res *verdict.Bisect) error {
	var js, text, mail bytes.Buffer
	err := errors.Join(report.BisectJSON(&js, res), report.BisectText(&text, res, report.Style{}))
	files := map[string][]byte{resultName: js.Bytes(), reportName: text.Bytes()}
	if res.Culprit != "" {
		err = errors.Join(err, report.RegressionText(&mail, res))
		files[regressionName] = mail.Bytes()
	}
	if f, oerr := os.Open(log); oerr == nil {
		if records, rerr := ReadLog(f); rerr == nil {
			files[replayName] = []byte(GitReplay(records, s.req.Fixed))
		}
		_ = f.Close()
	}
	for name, data := range files {
		if werr := os.WriteFile(filepath.Join(out, name), data, 0o644); werr != nil {
			err = errors.Join(err, disk("bisect", out, werr))
		}
	}
	return err
}
