package report

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/url"
	"slices"
	"strings"
	"time"

	"kcatch/harness/verdict"
)

// The uri of the form, and the name under which a reader learns where the kernel tree is.
const (
	sarifSchema = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
	sarifRoot   = "SRCROOT"
)

// SARIF writes s as SARIF 2.1.0: a rule for each class of death, a result for each finding (a death in several cells is one) with its
// place, the stacks of all vCPUs and a fingerprint made of the signature, which stays when lines move. What has no line in the
// kernel's source is a notification of the run: cells that could not be tested, errors of this machine, expired entries, deaths of
// the baseline that came no more.
//
// Source: OASIS SARIF 2.1.0 errata 01, section 3; GitHub's "SARIF support for code scanning", which reads
// primaryLocationLineHash alone of the fingerprints.
func SARIF(w io.Writer, s *verdict.Smoke) error {
	rules := sarifRules()
	run := sarifRun{
		Tool:        sarifTool{Driver: sarifDriver{Name: "kcatch", Rules: rules}},
		Invocations: []sarifInvocation{{Successful: s.Error == nil && s.Errors == 0, Start: sarifTime(s.Started), Notifications: notifications(s)}},
		Bases:       map[string]sarifBase{sarifRoot: {Description: sarifMessage{"The top of the kernel tree."}}},
		Results:     []sarifResult{},
		ColumnKind:  "unicodeCodePoints",
	}
	for _, f := range findings(s) {
		run.Results = append(run.Results, sarifFinding(&f, rules))
	}
	return encode(w, sarifLog{Schema: sarifSchema, Version: "2.1.0", Runs: []sarifRun{run}})
}

type sarifLog struct {
	Schema  string     `json:"$schema"`
	Version string     `json:"version"`
	Runs    []sarifRun `json:"runs"`
}

type sarifRun struct {
	Tool        sarifTool            `json:"tool"`
	Invocations []sarifInvocation    `json:"invocations"`
	Bases       map[string]sarifBase `json:"originalUriBaseIds"` // one member: no order to lose
	Results     []sarifResult        `json:"results"`
	ColumnKind  string               `json:"columnKind"`
}

type sarifTool struct {
	Driver sarifDriver `json:"driver"`
}

type sarifDriver struct {
	Name  string      `json:"name"`
	Rules []sarifRule `json:"rules"`
}

type sarifRule struct {
	ID      string       `json:"id"`
	Name    string       `json:"name"`
	Short   sarifMessage `json:"shortDescription"`
	Default sarifLevel   `json:"defaultConfiguration"`
}

type sarifLevel struct {
	Level string `json:"level"`
}

type sarifMessage struct {
	Text string `json:"text"`
}

type sarifBase struct {
	Description sarifMessage `json:"description"`
}

type sarifInvocation struct {
	Successful    bool                `json:"executionSuccessful"`
	Start         string              `json:"startTimeUtc,omitempty"`
	Notifications []sarifNotification `json:"toolExecutionNotifications,omitempty"`
}

type sarifNotification struct {
	Level   string       `json:"level"`
	Message sarifMessage `json:"message"`
}

type sarifResult struct {
	RuleID       string            `json:"ruleId"`
	RuleIndex    int               `json:"ruleIndex"`
	Level        string            `json:"level"`
	Message      sarifMessage      `json:"message"`
	Locations    []sarifLocation   `json:"locations,omitempty"`
	Stacks       []sarifStack      `json:"stacks,omitempty"`
	Fingerprints map[string]string `json:"partialFingerprints,omitempty"` // encoding/json sorts the keys
	Baseline     string            `json:"baselineState,omitempty"`
	Count        int               `json:"occurrenceCount"`
	Properties   sarifProperties   `json:"properties"`
}

type sarifProperties struct {
	Cells  []string `json:"cells"`
	Status string   `json:"status"`
	Repeat string   `json:"repeat,omitempty"`
}

type sarifLocation struct {
	Physical *sarifPhysical `json:"physicalLocation,omitempty"`
	Logical  []sarifLogical `json:"logicalLocations,omitempty"`
	Message  *sarifMessage  `json:"message,omitempty"`
}

type sarifPhysical struct {
	Artifact sarifArtifact `json:"artifactLocation"`
	Region   *sarifRegion  `json:"region,omitempty"`
}

type sarifArtifact struct {
	URI  string `json:"uri"`
	Base string `json:"uriBaseId"`
}

type sarifRegion struct {
	Line int `json:"startLine"`
}

type sarifLogical struct {
	Name string `json:"name"`
	Kind string `json:"kind"`
}

type sarifStack struct {
	Message sarifMessage `json:"message"`
	Frames  []sarifFrame `json:"frames"`
}

type sarifFrame struct {
	Location sarifLocation `json:"location"`
	Module   string        `json:"module,omitempty"`
}

// sarifRules are the rules, always all of them and in one order, so that an index means the same in each run.
func sarifRules() []sarifRule {
	var rules []sarifRule
	add := func(id, what string) {
		rules = append(rules, sarifRule{id, id, sarifMessage{what}, sarifLevel{"error"}})
	}
	for _, c := range verdict.Classes() {
		if c != verdict.OK {
			add(string(c), fmt.Sprintf("The kernel's boot ended as: %s.", c))
		}
	}
	add(ruleCheck, "A command that ran in the guest failed.")
	add(ruleSubtest, "A KTAP test that ran in the guest failed.")
	add(ruleUnexpected, "The boot did not end as it must.")
	return rules
}

func sarifFinding(f *finding, rules []sarifRule) sarifResult {
	c := f.cells[0]
	out := sarifResult{
		RuleID:     f.rule,
		RuleIndex:  slices.IndexFunc(rules, func(r sarifRule) bool { return r.ID == f.rule }),
		Level:      sarifLevelOf(f.level),
		Message:    sarifText(append([]string{f.headline()}, f.lines()...)),
		Baseline:   map[string]string{"new": "new", "known": "unchanged"}[f.novelty],
		Count:      len(f.cells),
		Properties: sarifProperties{Status: string(c.Status), Repeat: Clean(c.Repeat, maxLine)},
	}
	for _, c := range f.cells {
		out.Properties.Cells = append(out.Properties.Cells, Clean(c.Name, maxName))
	}
	if l, ok := f.at.location(); ok {
		out.Locations = []sarifLocation{l}
	}
	if f.signature != "" {
		out.Fingerprints = map[string]string{
			"kcatchSignature/v1":      f.signature,
			"primaryLocationLineHash": fmt.Sprintf("%x", sha256.Sum256([]byte(f.signature)))[:16] + ":1",
		}
	}
	if r := c.Result; r != nil && r.Verdict != verdict.Good {
		for _, cpu := range r.CPUs {
			out.addStack(fmt.Sprintf("vCPU %d %s", cpu.CPU, cpu.State), cpu.Frames)
		}
		for _, t := range r.Tasks {
			out.addStack(fmt.Sprintf("task %d %s, state %s", t.PID, t.Comm, t.State), t.Frames)
		}
	}
	return out
}

// The most that one result shows of each.
const (
	maxStacks      = 16
	maxStackFrames = 64
)

func (r *sarifResult) addStack(title string, frames []verdict.Frame) {
	if len(frames) == 0 || len(r.Stacks) == maxStacks {
		return
	}
	s := sarifStack{Message: sarifText([]string{title})}
	for _, f := range frames[:min(len(frames), maxStackFrames)] {
		at := framePlace(f)
		l, _ := at.location()
		note := sarifText([]string{strings.TrimSpace(label(f) + "  " + where(f))})
		l.Message = &note
		s.Frames = append(s.Frames, sarifFrame{Location: l, Module: Clean(f.Module, maxName)})
	}
	r.Stacks = append(r.Stacks, s)
}

// location is p, if anything is known of it.
func (p sourcePlace) location() (sarifLocation, bool) {
	var l sarifLocation
	if p.function != "" {
		l.Logical = []sarifLogical{{p.function, "function"}}
	}
	if p.file != "" {
		l.Physical = &sarifPhysical{Artifact: sarifArtifact{(&url.URL{Path: p.file}).EscapedPath(), sarifRoot}}
		if p.line > 0 {
			l.Physical.Region = &sarifRegion{p.line}
		}
	}
	return l, l.Physical != nil || l.Logical != nil
}

// notifications are what a run has to say beside its results.
func notifications(s *verdict.Smoke) []sarifNotification {
	var out []sarifNotification
	add := func(level, format string, args ...any) {
		out = append(out, sarifNotification{level, sarifText([]string{fmt.Sprintf(format, args...)})})
	}
	if s.Error != nil {
		add("error", "%s", s.Error.Message)
	}
	for i := range s.Cells {
		switch c := &s.Cells[i]; c.Status {
		case verdict.CellPass, verdict.CellFail, verdict.CellFlaky:
		case verdict.CellSkip:
			add("warning", "%s cannot be tested: %s", Clean(c.Name, maxName), reasonOf(c))
		case verdict.CellNotRun:
			add("note", "%s was not run", Clean(c.Name, maxName))
		default:
			add("error", "%s: this machine failed: %s", Clean(c.Name, maxName), reasonOf(c))
		}
	}
	for i := range s.Expired {
		add("error", "allow list: %s: %s", Clean(s.Expired[i].Signature, maxName), expiredSaid(&s.Expired[i]))
	}
	for _, k := range s.Fixed {
		add("note", "%s no longer dies of %s", Clean(k.Cell, maxName), k.Signature)
	}
	for _, n := range s.Notes {
		add("note", "%s", n)
	}
	return out
}

func sarifLevelOf(l level) string {
	if l == levelNotice {
		return "note"
	}
	return string(l)
}

// sarifText is lines as a plain text message. In one, "[text](target)" is a link and "{0}" an argument (section 3.11.5 and 3.11.6): no
// bracket is left that could begin a target, and braces are doubled, which is how they are written.
func sarifText(lines []string) sarifMessage {
	return sarifMessage{sarifPlain.Replace(strings.Join(bounded(lines, maxExcerpt), "\n"))}
}

var sarifPlain = strings.NewReplacer("](", `]\x28`, "{", "{{", "}", "}}")

// sarifTime is an RFC 3339 time in UTC, or "" for what is none.
func sarifTime(s string) string {
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		return ""
	}
	return t.UTC().Format("2006-01-02T15:04:05.000Z")
}
