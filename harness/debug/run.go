package debug

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kcatch/harness"
	"kcatch/harness/survey"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/shell"
)

// Options is what to stop at, and who gets the machine.
type Options struct {
	Breaks  []survey.Break // stop at the first of them, too; empty: at a death or at the plan's Until only
	Program Program
	Reverse bool     // the machine goes backward, too
	Args    []string // more of the program's arguments
	Streams Streams
	// View has the machine in the place of a program, and can run gdb on it; stands says whether the machine is there after that. May be nil.
	View func(ctx context.Context, h harness.Held, gdb func(context.Context) (stands bool, err error)) error
	// Lend is told when the program gets the terminal, and when it is back: Ctrl-C is the program's meanwhile. May be nil.
	Lend func(lent bool)
	// Say is told how to attach, a line each.
	Say func(line string)
}

// Session is a boot that is going to be handed over. Make one with [New].
type Session struct {
	plan  harness.Plan
	opts  Options
	stops *stops
}

// New checks what can be checked before the boot.
func New(plan harness.Plan, o Options) (*Session, error) {
	s := &Session{plan: plan, opts: o}
	if (len(o.Breaks) > 0 || o.Program == Drgn || o.Program == Crash) && plan.Build == nil && plan.Vmlinux == "" {
		return nil, blame.New(blame.Usage, "debug: a vmlinux is needed for that", "give it with --vmlinux")
	}
	for _, name := range []string{plan.Vmlinux, plan.Out} { // gdb's script names them, a command a line
		if strings.ContainsRune(name, '\n') {
			return nil, blame.New(blame.Usage, fmt.Sprintf("debug: %q: gdb takes no name with a line break", name), "give it another name")
		}
	}
	if len(o.Breaks) > 0 {
		switch plan.Accel {
		case "auto":
			s.plan.Accel = "tcg"
		case "kvm":
			return nil, blame.New(blame.Usage, "--accel kvm: --break needs more than the four breakpoints of KVM", "leave it out: --break takes TCG")
		}
		s.stops = &stops{breaks: o.Breaks}
		s.plan.Observer = s.stops
	}
	if o.Reverse {
		switch {
		case plan.CPUs > 1:
			return nil, blame.New(blame.Usage, "--reverse: a recording has one vCPU", "--smp 1")
		case plan.Accel == "kvm":
			return nil, blame.New(blame.Usage, "--accel kvm: only TCG records", "leave it out: --reverse takes TCG")
		}
		s.plan.Accel = "tcg"
	}
	s.plan.Hold = &harness.Hold{Reverse: o.Reverse, Core: o.Program == Drgn || o.Program == Crash, Over: s.over}
	return s, o.Program.Check()
}

// Plan is the boot's.
func (s *Session) Plan() harness.Plan { return s.plan }

// Stopped is what the machine was stopped at: the --break that was passed, or empty.
func (s *Session) Stopped() string {
	if s.stops == nil {
		return ""
	}
	return s.stops.hit
}

// Run boots, and hands over. It returns when the machine has been left and QEMU has ended; errors are Boot's, and [*ProgramError].
func (s *Session) Run(ctx context.Context, p harness.Progress) (verdict.Result, error) {
	show := p.Verdict
	p.Verdict = func(r *verdict.Result) {
		if hit := s.Stopped(); hit != "" && r.Verdict == verdict.Good {
			r.Summary = "stopped at " + hit
		} else if s.stops != nil && hit == "" {
			r.Notes = append(r.Notes, "--break "+s.stops.names()+" was not passed before this")
		}
		if show != nil {
			show(r)
		}
	}
	return harness.Boot(ctx, s.plan, p)
}

// over has the machine.
func (s *Session) over(ctx context.Context, h harness.Held) error {
	for name, data := range map[string][]byte{scriptName: []byte(script(h, kernelScripts(h.Vmlinux), harness.SourcePaths(h.Vmlinux))), pythonName: python} {
		if err := os.WriteFile(filepath.Join(h.Dir, name), data, 0o644); err != nil {
			return &blame.Error{Kind: blame.Infrastructure, Msg: "debug: " + err.Error(), Hint: "give another directory with --out", Err: err}
		}
	}
	if s.opts.Program != Nobody || s.opts.View != nil {
		if s.opts.Lend != nil {
			s.opts.Lend(true)
			defer s.opts.Lend(false)
		}
		if s.opts.View != nil {
			return s.opts.View(ctx, h, func(ctx context.Context) (bool, error) { return s.gdb(ctx, h) })
		}
		return run(ctx, s.opts.Program.argv(h, s.opts.Args), s.opts.Streams)
	}
	s.opts.Say("the machine stands; attach with:  gdb -q -x " + shell.Word(filepath.Join(h.Dir, scriptName)))
	if h.Core != "" && h.Vmlinux != "" {
		s.opts.Say("or look at its core:  drgn -c " + shell.Word(h.Core) + " -s " + shell.Word(h.Vmlinux))
	}
	s.opts.Say("Ctrl-C here ends it, and so does quitting gdb")
	select {
	case <-ctx.Done():
	case <-h.Exited: // gdb has killed it
	}
	return nil
}

// afterGdb is how long QEMU may take to end when gdb has killed it.
const afterGdb = 500 * time.Millisecond

// gdb runs gdb on the machine for a view.
func (s *Session) gdb(ctx context.Context, h harness.Held) (stands bool, err error) {
	if err := Gdb.Check(); err != nil {
		return true, err
	}
	err = run(ctx, Gdb.argv(h, nil), s.opts.Streams)
	select {
	case <-h.Exited:
		return false, err
	case <-time.After(afterGdb):
		return true, err
	}
}

// IsProgram reports whether an error is the program's own bad end.
func IsProgram(err error) bool {
	_, ok := errors.AsType[*ProgramError](err)
	return ok
}
