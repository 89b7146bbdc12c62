package smoke

import (
	"context"
	"fmt"
	"slices"
	"time"

	"kcatch/harness"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// lab is the door to the world: how a kernel is made, how a plan is booted, what time it is.
type lab struct {
	build func(context.Context, harness.Plan, harness.Progress) (harness.Plan, error)
	boot  func(context.Context, harness.Plan, harness.Progress) (verdict.Result, error)
	now   func() time.Time
}

// Run boots the cells and says how each came out, in the order of the request. A cell that fails is no error. An error means that
// the run was refused (usage: [Check] finds the same), that nothing can be kept (infrastructure), or that it was interrupted; of an
// interrupted one the cells that were done come with it, and are kept. No QEMU is left.
func Run(ctx context.Context, req Request, l Listener) (verdict.Smoke, error) {
	return lab{build: harness.Build, boot: harness.Boot, now: time.Now}.run(ctx, req, l)
}

// run is Run in a given world.
func (w lab) run(ctx context.Context, req Request, l Listener) (verdict.Smoke, error) {
	begin := w.now()
	out := verdict.Smoke{Schema: verdict.SmokeSchema, Cells: []verdict.Cell{}, Profile: req.Profile, Shard: req.Shard, AllowFlaky: req.AllowFlaky,
		Baseline: req.Baseline, Started: begin.UTC().Format(time.RFC3339)}
	req.Cells = slices.Clone(req.Cells) // they are filled in
	known, err := checkRequest(&req)
	if err != nil {
		return out, err
	}
	dir, err := outDir(&req, begin)
	if err != nil {
		return out, err
	}
	release, err := harness.Claim(dir)
	if err != nil {
		return out, err
	}
	defer release()
	if err := forget(dir, req.Cells); err != nil {
		return out, err
	}
	space := roomFor(&req)
	out.Jobs = space.boots
	hold, expired := holding(req.Allow, begin)
	out.Expired = expired
	for i := range req.Cells {
		if req.Cells[i].Repeat == "" {
			req.Cells[i].Repeat = bootCommand(&req.Cells[i])
		}
	}
	var shelf harness.Shelf
	defer shelf.Close()
	r := &run{shelf: &shelf, lab: w, req: &req, to: &teller{to: l}, dir: dir, known: known, allow: hold, board: newBoard(req.Cells, space),
		cells: make([]*verdict.Cell, len(req.Cells)), events: make(chan func())}
	r.loop(ctx)
	for i := range req.Cells {
		c := r.cells[i]
		if c == nil {
			left := newCell(&req.Cells[i])
			left.Reason = r.leftOut(ctx)
			c = &left
		}
		out.Add(*c)
	}
	out.Fixed = known.fixed(out.Cells)
	for _, e := range idle(hold, out.Cells) {
		out.Notes = append(out.Notes, oneLine("allow: "+e.Signature+" of "+e.Owner+" fits no death of this run; compare their signatures"))
	}
	out.Seconds = w.now().Sub(begin).Seconds()
	if err := remember(out.Cells, begin); err != nil {
		out.Notes = append(out.Notes, oneLine("how long the cells took is not remembered: "+err.Error()))
	}
	if ctx.Err() != nil {
		err = &blame.Error{Kind: blame.Interrupted, Msg: fmt.Sprintf("smoke: interrupted: %d of %d cells were done", len(out.Cells)-out.NotRun, len(out.Cells)),
			Hint: "what is done is in " + dir, Err: context.Cause(ctx)}
		out.Error = &verdict.Error{Message: "interrupted"}
	}
	if serr := save(dir, &out); serr != nil && err == nil {
		err = serr
	}
	return out, err
}

// run is a run under way. What is not said to be otherwise belongs to its loop.
type run struct {
	lab
	req    *Request
	shelf  *harness.Shelf
	to     *teller
	dir    string
	known  *baseline       // never changed
	allow  []verdict.Allow // never changed
	board  *board
	cells  []*verdict.Cell // those that are done, by their place in the request
	events chan func()     // what the others hand to the loop
}

// loop begins what can begin and waits for what ends, until nothing is left to do.
func (r *run) loop(ctx context.Context) {
	building, stopBuilding := context.WithCancel(ctx)
	defer stopBuilding()
	done := ctx.Done()
	for {
		for _, i := range r.board.unbuildable() {
			r.end(i, settle(&r.req.Cells[i], []attempt{unjudged(r.board.builds[r.board.needs[i]].err)}))
		}
		if i, ok := r.board.nextBuild(); ok {
			r.startBuild(building, i)
		}
		for {
			i, ok := r.board.nextBoot()
			if !ok {
				break
			}
			r.startCell(ctx, i)
		}
		if r.board.halted {
			stopBuilding() // nobody waits for it
		}
		if r.board.idle() {
			return
		}
		select {
		case event := <-r.events:
			event()
		case <-done:
			r.board.halted, done = true, nil
		}
	}
}

// startBuild builds a kernel beside the loop.
func (r *run) startBuild(ctx context.Context, i int) {
	b := &r.board.builds[i]
	b.phase = running
	cell := &r.req.Cells[b.first]
	plan, p := cell.Plan, r.to.build(cell.Kernel)
	go func() {
		built, err := r.build(ctx, plan, p)
		if err != nil && ctx.Err() == nil && ofThisMachine(err) {
			r.to.say("building " + cell.Kernel + " once more: " + oneLine(err.Error()))
			built, err = r.build(ctx, plan, p)
		}
		if err != nil && ctx.Err() != nil {
			err = &blame.Error{Kind: blame.Interrupted, Msg: "interrupted", Err: context.Canceled}
		}
		r.events <- func() {
			b.plan, b.err, b.phase = built, err, over
			if b.err != nil && blame.Of(b.err) == blame.Interrupted {
				b.phase, r.board.halted = waiting, true // its cells are not run
			}
		}
	}()
}

func ofThisMachine(err error) bool {
	kind := blame.Of(err)
	return kind == blame.Infrastructure || kind == blame.Unknown
}

// startCell boots a cell beside the loop, as often as it takes.
func (r *run) startCell(ctx context.Context, i int) {
	r.board.cell[i] = running
	c := &r.req.Cells[i]
	plan := c.Plan
	if n := r.board.needs[i]; n >= 0 {
		plan = plan.On(r.board.builds[n].plan)
	}
	go func() {
		var tries []attempt
		for {
			tries = append(tries, r.attempt(ctx, c, plan, len(tries)+1))
			if !again(tries, c.Retries) {
				break
			}
		}
		done := settle(c, tries)
		done.Artifacts = cellDir(r.dir, c.Name)
		r.events <- func() { r.end(i, done) }
	}()
}

// attempt boots a cell for the n-th time.
func (r *run) attempt(ctx context.Context, c *Cell, plan harness.Plan, n int) attempt {
	plan.Out, plan.Shelf = bootDir(r.dir, c.Name, n), r.shelf
	r.to.begin(c, n)
	var machine time.Duration
	p := r.to.boot(c)
	p.Ended = func(life time.Duration) { machine += life }
	begin := r.now()
	result, err := r.boot(ctx, plan, p)
	if err != nil && ctx.Err() != nil {
		err = context.Canceled
	}
	a := judge(c, &result, err, r.known, r.allow)
	a.Seconds, a.Machine = r.now().Sub(begin).Seconds(), machine.Seconds()
	return a
}

// end files a cell that is done.
func (r *run) end(i int, c verdict.Cell) {
	r.board.cell[i] = over
	r.cells[i] = &c
	if r.req.FailFast && (c.Status == verdict.CellFail || c.Status == verdict.CellFlaky && !r.req.AllowFlaky) {
		r.board.halted = true
	}
	r.to.end(&c)
}

// leftOut is why a cell was not begun.
func (r *run) leftOut(ctx context.Context) string {
	if ctx.Err() != nil {
		return "interrupted"
	}
	return "a cell before it failed (--fail-fast)"
}
