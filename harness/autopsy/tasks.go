package autopsy

import (
	"slices"

	"kcatch/gdb/amd64"
	"kcatch/gdb/guest"
	"kcatch/gdb/linux"
	"kcatch/gdb/unwind"
	"kcatch/harness/verdict"
)

// maxBlocked bounds how many tasks are unwound.
const maxBlocked = 16

// readTasks finds the tasks that a hung boot waits for: init (pid 1) in whatever state, then those that wait
// uninterruptibly, and once init runs, the others of user space. Kernel threads that sleep between their work are none.
func (s *Scene) readTasks(e *Evidence) (notes []string) {
	if s.Kernel == nil || s.Placement == nil || len(s.Registers) == 0 {
		return nil
	}
	init, ok := s.Kernel.Symbol("init_task")
	if !ok {
		return nil
	}
	layout, err := linux.TaskLayoutOf(s.Kernel.File)
	if err != nil {
		return []string{err.Error()}
	}
	space := guest.NewSpace(s.RAM, s.Registers[0])
	all, err := linux.Tasks(space, s.Placement.Run(uint64(init.Addr)), layout)
	if err != nil {
		notes = append(notes, err.Error())
	}
	for _, t := range all {
		if t.PID != 1 && (t.StateText() != "D" || t.Frozen()) && (t.Kernel || !e.Kernel.InitRan) || len(e.Tasks) == maxBlocked {
			continue
		}
		b := Blocked{Task: t, Chain: s.taskChain(t, space)}
		if t.PID == 1 {
			e.Tasks = slices.Insert(e.Tasks, 0, b)
		} else {
			e.Tasks = append(e.Tasks, b)
		}
	}
	return notes
}

// Values of system_state (enum system_states, include/linux/kernel.h). Above running are those of a kernel that ends the machine,
// which it may do at any stage.
const (
	scheduling = 1 // initcalls run
	freeing    = 2
	running    = 3
)

// stateBefore is the system_state that a kernel on its way out had before, as far as task 1 tells it: it is in kernel_init() until it
// leaves for user space.
func (s *Scene) stateBefore(e *Evidence) int {
	at := *e
	s.readTasks(&at) // what it notes is said where tasks are reported
	chains := slices.Clone(e.Chains)
	if len(at.Tasks) > 0 && at.Tasks[0].PID == 1 {
		chains = append(chains, at.Tasks[0].Chain)
	}
	return stateByChains(chains)
}

func stateByChains(chains []Chain) int {
	switch in := func(name string) bool { return slices.ContainsFunc(chains, func(c Chain) bool { return c.has(name) }) }; {
	case in("kernel_init_freeable"):
		return scheduling
	case in("kernel_init"):
		return freeing
	}
	return running
}

// initcall is the initcall that task 1 is in, for a death that is not in its own chain: it is on another vCPU, or waits. Initcalls run
// while system_state is SYSTEM_SCHEDULING.
func (s *Scene) initcall(e *Evidence) string {
	if e.Kernel.SystemState != scheduling {
		return ""
	}
	if name := initcallOf(e.Chains); name != "" {
		return name
	}
	at := *e
	s.readTasks(&at) // what it notes is said where tasks are reported
	if len(at.Tasks) == 0 || at.Tasks[0].PID != 1 {
		return ""
	}
	return initcallOf([]Chain{at.Tasks[0].Chain})
}

// initcallOf is the initcall that one of the chains is in.
func initcallOf(chains []Chain) string {
	for i := range chains {
		if at := chains[i].index(0, "do_one_initcall"); at >= 0 {
			return caller(&chains[i], at)
		}
	}
	return ""
}

// taskChain is the backtrace of a task that does not run.
func (s *Scene) taskChain(t linux.Task, space guest.Space) Chain {
	c := Chain{CPU: -1, Where: KernelText}
	if t.OnCPU {
		return c // its vCPU's chain is its own
	}
	at, err := t.Switched(space)
	if err != nil {
		c.Stopped = err.Error()
		return c
	}
	k, err := s.Kernel.Unwinder(*s.Placement)
	if err != nil {
		c.Stopped = err.Error()
		return c
	}
	var start unwind.State
	for r, v := range map[amd64.Reg]uint64{amd64.RIP: at.IP, amd64.RSP: at.SP, amd64.RBP: at.BP, amd64.RBX: at.BX,
		amd64.R12: at.R12, amd64.R13: at.R13, amd64.R14: at.R14, amd64.R15: at.R15} {
		start.Set(r, v)
	}
	k.WithCFI = s.Values.Args || s.Values.Locals
	mods := s.loadedModules(s.Registers[0])
	code := image(k, mods)
	trace := unwind.Walk(start, space, code)
	sym := symbolizer{file: s.Kernel, kernel: k, image: code, mods: mods, untold: s.modules.err != nil, place: *s.Placement, mem: space}
	sym.chain(&c, trace)
	c.value(s.Values)
	if !trace.Stop.Whole() {
		c.Stopped = "the chain ends here: " + trace.Stop.String()
	}
	return c
}

// tasks lists the blocked tasks for the result.
func tasks(e *Evidence) []verdict.Task {
	var out []verdict.Task
	for i := range e.Tasks {
		t := &e.Tasks[i]
		task := verdict.Task{PID: t.PID, Comm: t.Comm, State: t.StateText(), Frames: t.Chain.Frames}
		if at := slices.IndexFunc(e.Chains, func(c Chain) bool { return c.CPU == t.CPU }); t.OnCPU && at >= 0 {
			task.CPU, task.Frames = &e.Chains[at].CPU, e.Chains[at].Frames
		}
		if task.Frames == nil {
			task.Frames = []verdict.Frame{}
		}
		out = append(out, task)
	}
	return out
}
