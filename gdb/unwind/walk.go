package unwind

import (
	"errors"

	"kcatch/gdb/amd64"
)

// MaxFrames bounds a trace. A kernel stack of 16 KiB holds at most 2048 return addresses; the boot stack has no guard page,
// and a recursion on it runs on through whatever lies below.
const MaxFrames = 1 << 17

// ErrNoRow is what an [Image] returns for code it knows nothing about.
var ErrNoRow = errors.New("no unwind data")

// Image is the code that runs. Row describes the code at pc.Lookup(), with the source of that knowledge, or fails
// with an error that wraps [ErrNoRow]. IsText reports whether a run-time address lies in code.
type Image interface {
	Row(pc PC) (Row, FoundBy, error)
	IsText(addr uint64) bool
}

// FoundBy says how a frame was found; the strings are part of the result's JSON.
type FoundBy string

const (
	ByRegisters    FoundBy = "registers"     // the vCPU's own registers
	ByRegs         FoundBy = "regs"          // registers that an exception saved
	ByORC          FoundBy = "orc"           // the kernel's own unwind tables
	ByCFI          FoundBy = "cfi"           // .debug_frame
	ByFramePointer FoundBy = "frame-pointer" // the chain of saved rbp
	ByScan         FoundBy = "scan"          // a guess: a word on the stack that looks like a return address
)

// Frame is one function activation.
type Frame struct {
	PC    PC
	State State
	// CFA is the value of rsp before the call that made this frame; zero for a frame that was not left.
	CFA uint64
	By  FoundBy
	// Interrupted frames were not left by a call: an exception or interrupt hit at PC, which is exact.
	Interrupted bool
	// PtRegs is the address of the struct pt_regs this frame's registers came from; zero if there is none.
	PtRegs uint64
}

// Trace is a walk's frames, innermost first, and why there are no more.
type Trace struct {
	Frames []Frame
	Stop   Stop
}

// Walk goes up the stack from the registers of a stopped vCPU.
func Walk(start State, mem Memory, image Image) Trace {
	w := walk{mem: mem, image: image, seen: make(map[place]bool)}
	ip, ok := start.Get(amd64.RIP)
	if !ok {
		return Trace{Stop: Stop{Reason: NoUnwindData, Err: unknownRegister(amd64.RIP)}}
	}
	frame := Frame{PC: PC{Addr: ip, Kind: Exact}, State: start, By: ByRegisters}
	for {
		next, stop := w.up(&frame)
		w.frames = append(w.frames, frame)
		w.seen[place{frame.PC.Addr, frame.State.sp()}] = true
		switch {
		case stop.Reason != 0:
		case w.seen[place{next.PC.Addr, next.State.sp()}]:
			stop = Stop{Reason: NoProgress, Addr: frame.PC.Addr}
		case len(w.frames) >= MaxFrames:
			stop.Reason = TooDeep
		}
		if stop.Reason != 0 {
			return Trace{Frames: w.frames, Stop: stop}
		}
		frame = next
	}
}

// place identifies a frame: code and stack. Coming to one twice is a loop.
type place struct{ ip, sp uint64 }

type walk struct {
	mem    Memory
	image  Image
	frames []Frame
	seen   map[place]bool
}

// up finds the caller of f and sets f.CFA. A stop with a reason means that there is none.
func (w *walk) up(f *Frame) (Frame, Stop) {
	if !w.image.IsText(f.PC.Lookup()) {
		return w.wild(f)
	}
	row, by, err := w.image.Row(f.PC)
	switch {
	case err != nil && errors.Is(err, ErrNoRow):
		return w.leaf(f)
	case err != nil:
		return Frame{}, Stop{Reason: NoUnwindData, Addr: f.PC.Addr, Err: err}
	case row.End:
		return Frame{}, Stop{Reason: EndOfStack}
	case row.CFA.Kind == CFAScan:
		return w.scan(f, scanWords)
	}
	if rbp, ok := f.State.Get(amd64.RBP); ok && rbp == 0 && row.CFA.Kind == CFAChain {
		// The entry code clears rbp in the outermost frame (psABI, 3.4.1).
		return Frame{}, Stop{Reason: EndOfStack}
	}
	caller, err := Step(row, f.State, w.mem)
	if err != nil {
		return Frame{}, stopFor(err, f.PC.Addr)
	}
	f.CFA = caller.CFA
	return accept(f, caller, by)
}

// accept turns a step's result into a frame, or into the reason why it is not one.
func accept(f *Frame, c Caller, by FoundBy) (Frame, Stop) {
	next := Frame{PC: c.PC, State: c.State, By: by}
	if c.Trap == TrapNone {
		// On one stack the caller's frame lies higher. The indirect rules are the kernel's own way from an
		// interrupt stack to the stack it interrupted, which may lie anywhere.
		if !c.Switched && c.State.sp() <= f.State.sp() {
			return Frame{}, Stop{Reason: NoProgress, Addr: f.PC.Addr}
		}
		return next, Stop{}
	}
	if c.CS&amd64.RPLMask == amd64.RPLMask {
		return Frame{}, Stop{Reason: UserMode, Addr: c.PC.Addr}
	}
	if c.PC.Addr == 0 && c.CS == 0 {
		// The empty pt_regs at the top of a kernel thread's stack.
		return Frame{}, Stop{Reason: EndOfStack}
	}
	next.By, next.Interrupted = ByRegs, true
	if c.Trap == TrapPtRegs {
		next.PtRegs = c.CFA
	}
	return next, Stop{}
}

// wild recovers the caller of a pc that is in no code. After a call through a bad pointer the return address is
// still on top of the stack:
//
//	rip = *sp, rsp = sp + 8
//
// That is known for nothing but a call, so only an exact pc is tried and the frame is marked as a guess. After a return to a bad address
// that one has left the stack, and what is above it is the caller's own frame, in which its return address is the first.
func (w *walk) wild(f *Frame) (Frame, Stop) {
	stop := Stop{Reason: OutsideText, Addr: f.PC.Addr}
	sp, ok := f.State.Get(amd64.RSP)
	if f.PC.Kind != Exact || !ok {
		return Frame{}, stop
	}
	ret, err := readWord(w.mem, sp)
	if err != nil {
		return Frame{}, stop
	}
	if !w.image.IsText(ret - 1) {
		if next, stop := w.scan(f, wildWords); stop.Reason == 0 {
			return next, stop
		}
		return Frame{}, stop
	}
	f.CFA = sp + 8
	next := Frame{PC: PC{Addr: ret, Kind: Return}, State: f.State, By: ByScan}
	next.State.Set(amd64.RSP, sp+8)
	next.State.Set(amd64.RIP, ret)
	return next, Stop{}
}

// leaf guesses the caller of an exact pc in code that has no unwind data: retpoline thunks (UNWIND_HINT_UNDEFINED) and
// code in .altinstr_aux, which objtool does not describe. Both are left for code that is known, and close to it.
func (w *walk) leaf(f *Frame) (Frame, Stop) {
	if f.PC.Kind == Exact {
		if next, stop := w.scan(f, leafWords); stop.Reason == 0 {
			return next, stop
		}
	}
	return Frame{}, Stop{Reason: NoUnwindData, Addr: f.PC.Addr}
}

// Bounds of scans: a kernel stack of 16 KiB, about one frame, and one with an array in it.
const (
	scanWords = 2048
	leafWords = 32
	wildWords = 128
)

// scan guesses: the caller is the first of so many words up the stack that points into code, after a call.
func (w *walk) scan(f *Frame, words uint64) (Frame, Stop) {
	sp, ok := f.State.Get(amd64.RSP)
	if !ok {
		return Frame{}, Stop{Reason: NoUnwindData, Addr: f.PC.Addr, Err: unknownRegister(amd64.RSP)}
	}
	sp = (sp + 7) &^ 7
	after, _ := w.image.(CallSites)
	for i := range words {
		ret, err := readWord(w.mem, sp+8*i)
		if err != nil {
			return Frame{}, Stop{Reason: UnreadableStack, Addr: sp + 8*i, Err: err}
		}
		if !w.image.IsText(ret-1) || after != nil && !after.AfterCall(ret) {
			continue
		}
		f.CFA = sp + 8*i + 8
		next := Frame{PC: PC{Addr: ret, Kind: Return}, By: ByScan}
		next.State.Set(amd64.RSP, f.CFA)
		next.State.Set(amd64.RIP, ret)
		// Best effort: a callee-saved rbp is right more often than none, and the frame is marked as a guess.
		if rbp, ok := f.State.Get(amd64.RBP); ok {
			next.State.Set(amd64.RBP, rbp)
		}
		return next, Stop{}
	}
	return Frame{}, Stop{Reason: NoUnwindData, Addr: f.PC.Addr}
}

// CallSites is what an [Image] may also have: whether the instruction before a return address is a call. Scans
// then take fewer stale words for frames.
type CallSites interface {
	AfterCall(ret uint64) bool
}

func stopFor(err error, pc uint64) Stop {
	if m, ok := errors.AsType[*MemoryError](err); ok {
		return Stop{Reason: UnreadableStack, Addr: m.Addr, Err: err}
	}
	return Stop{Reason: NoUnwindData, Addr: pc, Err: err}
}
