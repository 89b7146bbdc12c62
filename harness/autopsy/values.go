package autopsy

import (
	"bytes"
	"debug/dwarf"
	"errors"
	"fmt"

	"kcatch/gdb/unwind"
	"kcatch/gdb/value"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
)

// ValueOptions say which values are shown with the frames. The zero value shows none.
type ValueOptions struct {
	Args, Locals bool
	// Depth is how many levels of pointers to structures are followed, 0..3.
	Depth int
}

// Bounds on what is shown: of a chain the innermost frames, and of a value so many bytes of text, by Depth.
const (
	maxValued    = 64
	maxValueText = 400
)

var maxDeepText = [...]int{maxValueText, 1500, 4000, 8000}

func (o ValueOptions) limit() int { return maxDeepText[max(0, min(o.Depth, len(maxDeepText)-1))] }

// Variable is an argument or a local variable of a frame.
type Variable struct {
	Name     string
	Argument bool
	value.Value
	// Kept says where a value is that is in no memory, for a sentence: "in rbx", "a constant"; empty else.
	Kept string
}

// activations are a chain's frames as the unwinder found them, which the variables of its functions need.
type activations struct {
	s      *symbolizer
	frames []unwind.Frame
	shown  []shown
}

// shown says that the functions of frames[trace] are Chain.Frames[first:first+count].
type shown struct{ trace, first, count int }

// Variables are the arguments of Frames[i] in their order, and if locals is set its local variables in scope. A chain that was not
// walked (one of the log, or the decompressor's) has none. They are read now: after a kernel has lived on, its memory may
// hold something else.
func (c *Chain) Variables(i int, locals bool) []Variable {
	if c.acts == nil {
		return nil
	}
	for _, a := range c.acts.shown {
		if i < a.first || i >= a.first+a.count {
			continue
		}
		scopes, frame := c.acts.scopes(a, locals)
		if at := i - a.first; at < len(scopes) {
			return evaluate(scopes[at], frame)
		}
	}
	return nil
}

// value fills in the values of a chain's innermost frames.
func (c *Chain) value(o ValueOptions) {
	if c.acts == nil || !o.Args && !o.Locals {
		return
	}
	text := c.acts.s.textOptions(o)
	for _, a := range c.acts.shown {
		if a.first >= maxValued {
			return
		}
		scopes, frame := c.acts.scopes(a, o.Locals)
		for i, scope := range scopes {
			f := &c.Frames[a.first+i]
			f.Args = []verdict.Arg{}
			for _, v := range evaluate(scope, frame) {
				if v.Name == "__func__" { // the function's name
					continue
				}
				f.Args = append(f.Args, verdict.Arg{Name: v.Name, Type: value.TypeName(v.Type), Value: shownAs(v.Value, text), Local: !v.Argument,
					Declaration: value.Declare(v.Type, v.Name)})
			}
		}
	}
}

// shownAs is a value's text. A pointer that is optimized out is shown by what it points to.
func shownAs(v value.Value, o value.TextOptions) string {
	s, ok := errors.AsType[*value.SyntheticPointer](v.Err)
	if !ok || s.Offset != 0 || s.Target.Err != nil {
		return v.Text(o)
	}
	return "<synthetic pointer> -> " + s.Target.Text(o)
}

// drop takes the innermost activation out, which showed n frames.
func (a *activations) drop(n int) {
	if a == nil || len(a.shown) == 0 {
		return
	}
	a.shown = a.shown[1:]
	for i := range a.shown {
		a.shown[i].first -= n
	}
}

// scopes are the functions of an activation with their variables, as many as it shows frames; none where they do not match.
func (a *activations) scopes(at shown, locals bool) ([]vmlinux.Scope, *value.Frame) {
	file, link := a.s.fileAt(a.frames[at.trace].PC.Lookup())
	if file == nil {
		return nil, nil
	}
	scopes, err := file.Variables(link, locals)
	if err != nil || len(scopes) != at.count {
		return nil, nil // the frame says itself why it has no name
	}
	return scopes, a.frame(at.trace, scopes[len(scopes)-1])
}

// fileAt is the file that has the code at a run-time address, and its address there.
func (s *symbolizer) fileAt(run uint64) (*vmlinux.File, vmlinux.Addr) {
	if link, ok := s.kernel.Link(run); ok {
		return s.file.File, vmlinux.Addr(link)
	}
	if m := s.mods.At(run); m != nil {
		if f, err := m.File(); err == nil {
			return f, vmlinux.Addr(run)
		}
	}
	return nil, 0
}

// frame is an activation for the evaluation of expressions that belong to scope.
func (a *activations) frame(trace int, scope vmlinux.Scope) *value.Frame {
	f := a.frames[trace]
	file, _ := a.s.fileAt(f.PC.Lookup())
	return &value.Frame{
		Registers: f.State, CFA: f.CFA, Base: scope.FrameBase, Memory: a.s.mem,
		Run: func(link uint64) (uint64, error) { return a.s.runAddress(file, link) },
		Address: func(i uint64) (uint64, error) {
			link, err := scope.Unit.Address(i)
			return uint64(link), err
		},
		BaseType: func(off uint64) (dwarf.Type, error) { return scope.Unit.BaseType(off) },
		Pointed: func(ref uint64) (dwarf.Type, []byte, []byte, error) {
			_, link := a.s.fileAt(f.PC.Lookup())
			v, err := scope.Unit.Variable(ref, link)
			if err == nil {
				err = v.Err
			}
			return v.Type, v.Location, v.Const, err
		},
		Entry: func(location []byte) ([]byte, *value.Frame, error) {
			return a.entry(trace, scope.Function, location)
		},
	}
}

var errPerCPU = errors.New("a per-CPU variable, which has no address of its own")

// runAddress is the run-time address of a link address of a file.
func (s *symbolizer) runAddress(file *vmlinux.File, link uint64) (uint64, error) {
	if file != s.file.File {
		return link, nil // a module is linked where it runs
	}
	if file.PerCPU(vmlinux.Addr(link)) {
		return 0, errPerCPU
	}
	return link + s.kernel.Slide, nil
}

// entry is what a location of the function of frames[trace] held when it was called, as its caller's call site says. The site
// must be a call of this very function: one that was reached through another's tail call was given other values.
func (a *activations) entry(trace int, function string, location []byte) ([]byte, *value.Frame, error) {
	if trace+1 >= len(a.frames) {
		return nil, nil, errors.New("the caller is not known")
	}
	caller := a.frames[trace+1]
	file, _ := a.s.fileAt(caller.PC.Lookup())
	if caller.PC.Kind != unwind.Return || file == nil {
		return nil, nil, errors.New("that was by no call")
	}
	ret := caller.PC.Addr
	if file == a.s.file.File {
		ret, _ = a.s.kernel.Link(caller.PC.Lookup())
		ret++
	}
	site, ok, err := file.CallSite(vmlinux.Addr(ret))
	if err != nil || !ok {
		return nil, nil, errors.New("the call is not described")
	}
	in := a.frame(trace+1, site.Scope)
	switch {
	case site.Callee != "" && site.Callee != function:
		return nil, nil, fmt.Errorf("%s was called, and jumped here", site.Callee)
	case site.Callee == "" && !a.calls(trace, in, site.Target):
		return nil, nil, errors.New("the call was through a pointer")
	}
	for _, v := range site.Values {
		if bytes.Equal(v.Location, location) && len(v.Value) > 0 {
			return v.Value, in, nil
		}
	}
	return nil, nil, errors.New("the caller does not say what it was")
}

// calls reports whether the pointer of a call leads to the function of frames[trace].
func (a *activations) calls(trace int, caller *value.Frame, target []byte) bool {
	to, err := caller.Number(target)
	if err != nil {
		return false
	}
	file, link := a.s.fileAt(a.frames[trace].PC.Lookup())
	into, entry := a.s.fileAt(to)
	if file == nil || file != into {
		return false
	}
	sym, ok := file.SymbolAt(link)
	return ok && sym.Addr == entry
}

func evaluate(scope vmlinux.Scope, frame *value.Frame) []Variable {
	out := make([]Variable, 0, len(scope.Variables))
	for _, v := range scope.Variables {
		x := Variable{Name: v.Name, Argument: v.Argument}
		switch {
		case v.Err != nil:
			x.Value = value.Value{Type: v.Type, Err: v.Err}
		case v.Const != nil:
			x.Value, x.Kept = value.Constant(v.Type, v.Const), "a constant"
		default:
			x.Value = frame.Evaluate(v.Type, v.Location)
			x.Kept = kept(x.Value, v.Location)
		}
		out = append(out, x)
	}
	return out
}

// kept is [Variable].Kept of a value that a location expression gave.
func kept(v value.Value, location []byte) string {
	reg, is := value.IsRegister(location)
	switch {
	case v.HasAddr:
		return ""
	case is:
		return "in " + reg.String()
	case v.Err == nil:
		return "computed by the debug information"
	}
	return ""
}

// textOptions is how values of this machine are shown.
func (s *symbolizer) textOptions(o ValueOptions) value.TextOptions {
	return value.TextOptions{Depth: o.Depth, Memory: s.mem, Name: s.name, Complete: s.file.Complete,
		Flags: s.file.Flags, Limit: o.limit()}
}

// name names a run-time address of the kernel's or a module's code, or of the kernel's data.
func (s *symbolizer) name(addr uint64) string {
	plus := func(name string, off uint64) string {
		if off == 0 {
			return name
		}
		return fmt.Sprintf("%s+0x%x", name, off)
	}
	if link, ok := s.kernel.Link(addr); ok && addr >= kernelStart {
		at := vmlinux.Addr(link)
		if sym, ok := s.file.SymbolAt(at); ok {
			return plus(sym.Name, uint64(at-sym.Addr))
		}
		if sym, ok := s.file.ObjectAt(at); ok {
			return plus(sym.Name, uint64(at-sym.Addr))
		}
		return ""
	}
	if m := s.mods.At(addr); m != nil {
		if sym, ok := m.SymbolAt(addr); ok {
			return plus(sym.Name, addr-sym.Addr) + " [" + m.Name + "]"
		}
	}
	return ""
}

// kernelStart is where addresses of the kernel's half begin: a small number is no pointer into the kernel at its physical place.
const kernelStart = 1 << 63
