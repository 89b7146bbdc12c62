package autopsy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"slices"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/gdb/unwind"
	"kcatch/harness/verdict"
)

// Sighting is a vCPU as it passed a place: its chain as bare addresses, and of memory what its names will need. To take one
// costs a walk up the stack, 0.1 ms; the names ([Scene.Named]) can wait until the machine has gone on.
type Sighting struct {
	cpu   int
	regs  amd64.Registers
	trace unwind.Trace
	mem   excerpts
	why   string // what is odd about the memory it was read through
	state KernelState

	values verdict.Values
	cut    int // frames that were not kept

	modules bool   // the chain goes through modules
	chain   *Chain // named already
}

// Sight looks at a vCPU that stands at a place. [Scene.Keep] completes what is worth to be kept.
func (s *Scene) Sight(cpu int, regs amd64.Registers) Sighting {
	g := Sighting{cpu: cpu, regs: regs}
	mem, why := s.memory(regs)
	g.why = why
	if s.Kernel == nil || s.Placement == nil || s.region(regs) != KernelText {
		c := s.ChainOf(cpu, regs) // it says why there is no chain
		g.chain = &c
		return g
	}
	k, err := s.Kernel.Unwinder(*s.Placement)
	if err != nil {
		g.chain = &Chain{CPU: cpu, Regs: regs, Stopped: err.Error()}
		return g
	}
	g.trace = unwind.Walk(unwind.NewState(regs), mem, k)
	outside := func(f unwind.Frame) bool { return !k.IsText(f.PC.Lookup()) }
	if g.trace.Stop.Reason == unwind.OutsideText || slices.ContainsFunc(g.trace.Frames, outside) {
		if mods := s.loadedModules(regs); mods != nil {
			g.modules = true
			g.trace = unwind.Walk(unwind.NewState(regs), mem, image(k, mods))
		}
	}
	return g
}

// Keep reads what the names of a sighting will need, while the machine still stands there, and if the scene has Values those at
// the place. at is the index of the frame that the place is in, of the chain from the place outward; nil for a place that
// reports the innermost exception, as __warn() does.
func (s *Scene) Keep(g *Sighting, at func([]verdict.Frame) int) {
	g.state = KernelState{SystemState: -1, Consoles: -1}
	if mem := s.kernelMemory(); mem != nil {
		g.state.read(s, mem)
	}
	mem, _ := s.memory(g.regs)
	if g.modules { // they may be gone when the names are asked for
		c := s.ChainOf(g.cpu, g.regs)
		g.chain = &c
	}
	for _, f := range g.trace.Frames {
		if !f.Interrupted {
			continue
		}
		g.mem.take(mem, f.PC.Addr, linux.MaxInstruction)
		if f.PtRegs != 0 {
			g.mem.take(mem, f.PtRegs, linux.PtRegsSize)
		}
	}
	if n := len(g.trace.Frames); n > keptFrames {
		g.trace.Frames, g.cut = slices.Clone(g.trace.Frames[:keptFrames]), n-keptFrames
	}
	g.values = verdict.Values{}
	if s.Values.Args || s.Values.Locals {
		s.valuesAt(g, mem, at)
	}
}

// keptFrames bounds a sighting's chain: a recursion that passes a place at every depth would else take memory by its square.
const keptFrames = 256

// nearPlace is how many activations from the place outward are named for their values: the kernel's own reporting may be the
// innermost of them.
const nearPlace = 4

// valuesAt reads the arguments, with Values.Locals the local variables too, of the function that the place is in and, as far as
// they have other names, of those that it is inlined into; and the struct page that one of them points to.
func (s *Scene) valuesAt(g *Sighting, mem linux.Memory, at func([]verdict.Frame) int) {
	c := g.chain
	if c == nil {
		k, err := s.Kernel.Unwinder(*s.Placement)
		if err != nil {
			return
		}
		k.WithCFI = true
		frames := unwind.Walk(unwind.NewState(g.regs), mem, k).Frames
		if at == nil {
			frames = frames[max(0, slices.IndexFunc(frames, func(f unwind.Frame) bool { return f.Interrupted })):]
		}
		c = &Chain{CPU: g.cpu, Regs: g.regs, Where: KernelText}
		sym := symbolizer{file: s.Kernel, kernel: k, image: k, place: *s.Placement, mem: mem, cr2: g.regs.CR2}
		sym.chain(c, unwind.Trace{Frames: frames[:min(len(frames), nearPlace)]})
	}
	if len(c.Frames) == 0 {
		return
	}
	i := 0
	switch {
	case at != nil:
		i = at(c.Frames)
	case len(c.Traps) > 0:
		i = atTrap(c, &c.Traps[0], verdict.Warn).Frame
	default:
		i = beyond(c, 0, reporting)
	}
	if i < 0 || i >= len(c.Frames) || c.acts == nil {
		return
	}
	text := c.acts.s.textOptions(s.Values)
	page := s.pageOf(c, i)
	for end := false; i < len(c.Frames) && !end; i++ {
		for _, v := range c.Variables(i, s.Values.Locals) {
			if old, ok := g.values[v.Name]; v.Name != "" && (!ok || old == optimizedOut) {
				g.values[v.Name] = v.Text(text)
			}
		}
		end = !c.Frames[i].Inline
	}
	if page != nil {
		g.values["*"+page.Variable] = page.Text
		g.values[page.Variable+"->_refcount"] = fmt.Sprint(page.RefCount)
		g.values[page.Variable+"->flags"] = page.Flags.String()
		g.values["page_to_pfn("+page.Variable+")"] = page.PFN.String()
	}
}

// optimizedOut is the text of a variable that has no value.
const optimizedOut = "<optimized out>"

// Values are those that were read at the place; empty when none were asked for.
func (g *Sighting) Values() verdict.Values { return g.values }

// Key tells distinct chains apart: it is the same for the same return addresses, whatever the registers and the stack.
// reported says that the innermost exception is what the place reports, as __warn() does: then the key begins at the code that
// it interrupted. It ends where another exception or interrupt came in, because what that interrupted is no caller.
func (g *Sighting) Key(reported bool) uint64 {
	h := fnv.New64a()
	add := func(pc uint64) { _, _ = h.Write(binary.LittleEndian.AppendUint64(nil, pc)) } // a hash takes everything
	inside := !reported || !g.interrupted()
	if g.chain != nil {
		for i := range g.chain.Frames {
			f := &g.chain.Frames[i]
			if f.Exception != nil && inside && i > 0 {
				break
			}
			if inside = inside || f.Exception != nil; inside {
				add(uint64(f.PC))
			}
		}
		return h.Sum64()
	}
	for i, f := range g.trace.Frames {
		if f.Interrupted && inside && i > 0 {
			break
		}
		if inside = inside || f.Interrupted; inside {
			add(f.PC.Addr)
		}
	}
	return h.Sum64()
}

// interrupted reports whether there is an exception in the chain.
func (g *Sighting) interrupted() bool {
	if g.chain != nil {
		return len(g.chain.Traps) > 0
	}
	return slices.ContainsFunc(g.trace.Frames, func(f unwind.Frame) bool { return f.Interrupted })
}

// Named gives the frames of a sighting their names.
func (s *Scene) Named(g *Sighting) Chain {
	if g.chain != nil {
		return *g.chain
	}
	c := Chain{CPU: g.cpu, Regs: g.regs, Where: KernelText}
	k, err := s.Kernel.Unwinder(*s.Placement)
	if err != nil {
		c.Stopped = err.Error()
		return c
	}
	sym := symbolizer{file: s.Kernel, kernel: k, image: k, place: *s.Placement, mem: g.mem, hits: s.Stop.Hits, cr2: g.regs.CR2}
	sym.chain(&c, g.trace)
	if g.cut > 0 {
		c.Stopped = fmt.Sprintf("%d more frames were not kept", g.cut)
	} else if !g.trace.Stop.Whole() {
		c.Stopped = "the chain ends here: " + g.trace.Stop.String()
	}
	if g.why != "" {
		c.Stopped = strings.TrimPrefix(c.Stopped+"; "+g.why, "; ")
	}
	return c
}

// Stage says how far the boot had come at a sighting, whose chain c is, and what the stage was in.
func (g *Sighting) Stage(c *Chain) (verdict.Stage, string) { return stage(c, g.state) }

// Warned is the finding for a chain that stands in __warn(); nil when it has no frames.
func Warned(c *Chain) *Finding { return warned(c) }

// errNotKept: memory that was not read while the machine stood at the place.
var errNotKept = errors.New("not kept")

// excerpts are pieces of memory as they were at a moment.
type excerpts []excerpt

type excerpt struct {
	addr  uint64
	bytes []byte
}

// take keeps what can be read of n bytes at addr.
func (x *excerpts) take(mem linux.Memory, addr uint64, n int) {
	b := make([]byte, n)
	got, _ := mem.ReadMemory(b, addr) // what cannot be read is not there later either
	*x = append(*x, excerpt{addr, b[:got]})
}

// ReadMemory implements [linux.Memory] for what was taken.
func (x excerpts) ReadMemory(p []byte, addr uint64) (int, error) {
	for _, e := range x {
		if off := addr - e.addr; off < uint64(len(e.bytes)) {
			n := copy(p, e.bytes[off:])
			if n < len(p) {
				return n, errNotKept
			}
			return n, nil
		}
	}
	return 0, errNotKept
}
