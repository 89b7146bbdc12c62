package survey

import (
	"context"
	"fmt"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// Options say what to look at besides WARNs.
type Options struct {
	Breaks []Break
	// Limit is how many hits in a row a point may have that show no new chain, before it is taken out so that the boot
	// gets on. Zero: [DefaultLimit]; at most [MaxLimit].
	Limit int
}

// DefaultLimit keeps a point that is hit all the time from adding more than half a second to a boot.
const DefaultLimit = 1000

// MaxLimit is more hits than any boot has time for, and 200 times as many can be counted.
const MaxLimit = 1_000_000_000

// Survey is a survey to come: see [New].
type Survey struct {
	plan harness.Plan
	seen *collector
}

// New makes a survey of the plan's boot. It needs TCG, and takes it where the plan leaves the choice.
func New(plan harness.Plan, o Options) (*Survey, error) {
	if plan.Build == nil && plan.Vmlinux == "" {
		return nil, blame.New(blame.Usage, "a survey needs the kernel's vmlinux", "give it with --vmlinux; without it there are no lines to name")
	}
	switch plan.Accel {
	case "auto":
		plan.Accel = "tcg"
	case "kvm":
		return nil, blame.New(blame.Usage, "--accel kvm: a survey needs more than the four breakpoints of KVM", "leave it out: a survey takes TCG")
	}
	limit := min(o.Limit, MaxLimit)
	if limit <= 0 {
		limit = DefaultLimit
	}
	c := &collector{limit: limit}
	for _, b := range o.Breaks { // one that is named twice is one
		if !has(c.breaks, b.Text) {
			c.breaks = append(c.breaks, b)
		}
	}
	plan.Observer = c
	return &Survey{plan: plan, seen: c}, nil
}

func has(breaks []Break, text string) bool {
	for _, b := range breaks {
		if b.Text == text {
			return true
		}
	}
	return false
}

// Plan is the boot that the survey will make.
func (s *Survey) Plan() harness.Plan { return s.plan }

// Run boots and looks. On an error, which is [harness.Boot]'s, what was seen before comes with it, and the result of the boot
// says why there is no verdict.
func (s *Survey) Run(ctx context.Context, p harness.Progress) (verdict.Survey, error) {
	boot, err := harness.Boot(ctx, s.plan, p)
	if err != nil && boot.Schema == "" {
		boot = harness.Skipped(err)
	}
	return s.result(boot), err
}

func (s *Survey) result(boot verdict.Result) verdict.Survey {
	out := verdict.Survey{Schema: verdict.SurveySchema, Sites: sites(s.seen.chains), Points: []verdict.Point{}, Hits: s.seen.hits, Boot: boot}
	for _, p := range s.seen.points {
		out.Points = append(out.Points, p.Point)
		if p.Out != "" {
			out.Notes = append(out.Notes, fmt.Sprintf("%s: %s: counts with a + are at least these", p.Name, p.Out))
		}
		if p.Addresses == 0 {
			out.Notes = append(out.Notes, p.Name+": the kernel has no __warn(): it was built without CONFIG_BUG, and warns by log lines at most")
		}
	}
	if len(s.seen.order) >= maxChains {
		out.Notes = append(out.Notes, fmt.Sprintf("%d distinct chains were kept; those that came later are in the points' counts only", maxChains))
	}
	return out
}

// Failed is the survey of a boot that was refused or could not begin.
func Failed(err error) verdict.Survey {
	return verdict.Survey{Schema: verdict.SurveySchema, Sites: []verdict.Site{}, Points: []verdict.Point{}, Boot: harness.Skipped(err)}
}
