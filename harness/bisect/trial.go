package bisect

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"syscall"
	"time"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

const (
	// maxDecoys is how many boots of a commit may end in another death before it is skipped: once may be chance.
	maxDecoys = 2
	// maxBoots bounds the boots of one trial: one that strikes in one boot of ten is missed by 60 once in 500.
	maxBoots = 60
	// maxRetries is how often an infrastructure failure is tried again.
	maxRetries = 2
)

// A tester boots commits, or takes from an earlier log what it says of them.
type tester struct {
	lab     Lab
	log     *Log
	now     func() time.Time
	say     func(string)
	retried func(ctx context.Context) // waits before another attempt

	building sync.Mutex
	mu       sync.Mutex
	recorded map[string][]Record // of an earlier run: boots and skips by key, in their order
	rewrite  bool                // what comes from the earlier log goes into this one too
	kernels  map[string]Kernel
	booted   map[string]int
	images   map[string]string // image of each key that was booted
	boots    int
	builds   int
}

// tally is what the boots of one key came to.
type tally struct {
	lived, died, decoys int
	boots               int
	seconds             float64
	signature           string   // of the last death
	summary             string   // of it
	chain               []string // of it
	decoySignature      string
	decoyChain          []string
}

// errSkip says that a commit cannot be tested; its text is the reason.
type errSkip struct{ reason string }

func (e errSkip) Error() string { return e.reason }

// once boots a commit once more. make builds it when that has not been done, and accept, which may be nil, may refuse to boot what was
// built. The error is errSkip when the commit cannot be tested.
func (t *tester) once(ctx context.Context, key string, make func(context.Context) (Kernel, error), accept func(Kernel) error) (Record, error) {
	if r, ok := t.replayed(key); ok {
		if r.Type == "skip" {
			return r, errSkip{r.Reason}
		}
		return r, nil
	}
	begin := t.now()
	k, err := t.kernel(ctx, key, make)
	if err == nil && accept != nil {
		if err := accept(k); err != nil {
			return Record{}, err
		}
	}
	if err == nil {
		t.mu.Lock()
		t.booted[key]++
		n := t.booted[key]
		t.images[key] = k.Image
		t.mu.Unlock()
		var res verdict.Result
		err = t.retrying(ctx, func() error {
			var err error
			res, err = t.lab.Boot(ctx, key, k, n)
			return err
		})
		if err == nil && res.Verdict == verdict.Skip {
			err = errSkip{"the boot came to no verdict: " + res.Summary}
		}
		if err == nil {
			r := recordOf(key, &res)
			r.Image, r.Seconds, r.Time = k.Image, t.now().Sub(begin).Seconds(), t.now().UTC().Format(time.RFC3339)
			t.mu.Lock()
			t.boots++
			t.mu.Unlock()
			return r, t.log.Write(r)
		}
	}
	var skip errSkip
	switch {
	case errors.As(err, &skip):
	case blame.Of(err) == blame.Build, blame.Of(err) == blame.Usage:
		skip = errSkip{err.Error()}
	default:
		return Record{}, err
	}
	r := Record{Type: "skip", Commit: key, Reason: skip.reason, Seconds: t.now().Sub(begin).Seconds(), Time: t.now().UTC().Format(time.RFC3339)}
	return r, errors.Join(skip, t.log.Write(r))
}

// replayed takes the next thing that the earlier log says of a key.
func (t *tester) replayed(key string) (Record, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	list := t.recorded[key]
	if len(list) == 0 {
		return Record{}, false
	}
	r := list[0]
	if r.Type != "skip" { // what cannot be tested stays so
		t.recorded[key] = list[1:]
		t.boots++
	}
	t.booted[key]++
	if r.Image != "" {
		t.images[key] = r.Image
	}
	if t.rewrite {
		_ = t.log.Write(r) // a copy; the boot is in the other log
	}
	return r, true
}

// kernel builds a key's kernel, once. Builds take all cores, so there is one at a time.
func (t *tester) kernel(ctx context.Context, key string, make func(context.Context) (Kernel, error)) (Kernel, error) {
	t.building.Lock()
	defer t.building.Unlock()
	if k, ok := t.kernels[key]; ok {
		return k, nil
	}
	var k Kernel
	err := t.retrying(ctx, func() error {
		var err error
		k, err = make(ctx)
		return err
	})
	if err != nil {
		return Kernel{}, err
	}
	t.kernels[key] = k
	if k.Built {
		t.builds++
	}
	return k, nil
}

// retrying does something again when the infrastructure failed. A failure that stays ends the run: it is no verdict.
func (t *tester) retrying(ctx context.Context, do func() error) error {
	for i := 0; ; i++ {
		err := do()
		if err == nil || ctx.Err() != nil || i == maxRetries {
			return err
		}
		if k := blame.Of(err); k != blame.Infrastructure && k != blame.Unknown || errors.Is(err, syscall.ENOSPC) {
			return err
		}
		t.say("trying again: " + err.Error())
		t.retried(ctx)
	}
}

// count adds a boot to a tally; dead says whether it died of the death that is looked for.
func (c *tally) count(r Record, fits func(signature string) bool) {
	c.boots++
	c.seconds += r.Seconds
	switch {
	case r.Outcome == string(verdict.Good):
		c.lived++
		return
	case fits(r.Signature):
		c.died++
	default:
		c.decoys++
		c.decoySignature, c.decoyChain = r.Signature, r.Chain
	}
	c.signature, c.summary, c.chain = r.Signature, r.Summary, r.Chain
}

// maxFrames is how many frames of a chain the log keeps.
const maxFrames = 16

// recordOf is a boot as the log has it.
func recordOf(key string, res *verdict.Result) Record {
	return Record{
		Type: "boot", Commit: key, Outcome: string(res.Verdict), Signature: res.Signature, Summary: res.Summary,
		Chain: chainOf(res), Artifacts: res.Artifacts.Dir,
	}
}

// chainOf is the chain of a death from the function at fault outward, a line a frame.
func chainOf(res *verdict.Result) []string {
	if res.Verdict != verdict.Bad || len(res.CPUs) == 0 {
		return nil
	}
	frames := res.CPUs[0].Frames
	for _, c := range res.CPUs {
		if i := slices.IndexFunc(c.Frames, func(f verdict.Frame) bool { return f.Cause }); i >= 0 {
			frames = c.Frames[i:]
			break
		}
	}
	var list []string
	for _, f := range frames[:min(len(frames), maxFrames)] {
		line := f.Function
		if line == "" {
			line = f.PC.String()
		}
		if f.File != "" {
			line += fmt.Sprintf(" %s:%d", f.File, f.Line)
		}
		if f.Inline {
			line += " (inlined)"
		}
		list = append(list, line)
	}
	return list
}
