package linux

import (
	"bytes"
	"errors"
	"fmt"

	"kcatch/gdb/vmlinux"
)

// Task is a thread of the kernel or of user space.
type Task struct {
	Address uint64 // of its task_struct, run-time
	PID     int
	Comm    string // at most 15 bytes; user space chooses it
	State   uint32 // task_struct.__state, see StateText
	// SP is thread.sp of a task that does not run: the address of its struct inactive_task_frame. It is stale for one
	// that runs.
	SP uint64
	// OnCPU says that it runs on a CPU now (CONFIG_SMP); its stack is then the CPU's.
	OnCPU bool
	// CPU is the one that it runs on or ran on last; -1 when the kernel does not say so in its task_struct.
	CPU int
	// Kernel says that it is a kernel thread (PF_KTHREAD).
	Kernel bool
}

// TaskLayout is where the members of task_struct are, as byte offsets. OnCPU is -1 without CONFIG_SMP,
// and CPU before 5.16 (Linux bcf9033e5449, "sched: move CPU field back into thread_info if THREAD_INFO_IN_TASK=y").
type TaskLayout struct {
	Tasks, PID, Comm, State, SP, Flags, OnCPU, CPU int
}

// TaskLayoutOf takes the layout from a vmlinux's DWARF. __state was called state before 5.14 (Linux 2f064a59a11f, "sched:
// Change task_struct::state").
func TaskLayoutOf(f *vmlinux.File) (TaskLayout, error) {
	anchor, ok := f.Symbol("sched_show_task")
	if !ok {
		return TaskLayout{}, errors.New("task layout: no function sched_show_task")
	}
	s, err := f.Struct(anchor.Addr, "task_struct")
	if err != nil {
		return TaskLayout{}, fmt.Errorf("task layout: %w", err)
	}
	at := structLayout{s}
	var l TaskLayout
	for _, m := range []struct {
		to    *int
		names []string
	}{
		{&l.Tasks, []string{"tasks"}}, {&l.PID, []string{"pid"}}, {&l.Comm, []string{"comm"}},
		{&l.State, []string{"__state", "state"}}, {&l.SP, []string{"thread.sp"}}, {&l.Flags, []string{"flags"}}, {&l.OnCPU, []string{"on_cpu"}},
		{&l.CPU, []string{"thread_info.cpu"}},
	} {
		*m.to = -1
		for _, name := range m.names {
			if off, ok := at.Offset(name); ok {
				*m.to = off
				break
			}
		}
		if *m.to < 0 && m.to != &l.OnCPU && m.to != &l.CPU {
			return TaskLayout{}, fmt.Errorf("task layout: task_struct has no %s", m.names[0])
		}
	}
	return l, nil
}

// maxTasks bounds the walk along a list that may be broken. PID_MAX_LIMIT is 4 million; nobody wants to see so many.
const maxTasks = 1 << 16

// Tasks lists the thread group leaders from init_task on, whose run-time address is init: the list is
// task_struct.tasks, a ring. An error comes with the tasks before it.
func Tasks(mem Memory, init uint64, l TaskLayout) ([]Task, error) {
	var tasks []Task
	for at := init; len(tasks) < maxTasks; {
		t, next, err := readTask(mem, at, l)
		if err != nil {
			return tasks, fmt.Errorf("tasks: task_struct at 0x%x: %w", at, err)
		}
		tasks = append(tasks, t)
		if at = next - uint64(l.Tasks); at == init {
			return tasks, nil
		}
	}
	return tasks, fmt.Errorf("tasks: more than %d: the list is broken", maxTasks)
}

// pfKthread is PF_KTHREAD, include/linux/sched.h; the same in 6.1 and 6.12.
const pfKthread = 0x00200000

// commSize is TASK_COMM_LEN.
const commSize = 16

func readTask(mem Memory, at uint64, l TaskLayout) (t Task, next uint64, err error) {
	c := cursor{mem: mem}
	t = Task{Address: at, PID: int(int32(c.u32(at + uint64(l.PID)))), State: c.u32(at + uint64(l.State)), SP: c.u64(at + uint64(l.SP))}
	t.CPU = -1
	if l.CPU >= 0 {
		t.CPU = int(int32(c.u32(at + uint64(l.CPU))))
	}
	t.Kernel = c.u32(at+uint64(l.Flags))&pfKthread != 0
	if l.OnCPU >= 0 {
		t.OnCPU = c.u32(at+uint64(l.OnCPU)) != 0
	}
	comm, _, _ := bytes.Cut(c.bytes(at+uint64(l.Comm), commSize), []byte{0})
	t.Comm = string(comm)
	next = c.u64(at + uint64(l.Tasks))
	return t, next, c.err
}

// Bits of __state, include/linux/sched.h, the same in 6.1 and 6.12.
const (
	taskInterruptible   = 0x1
	taskUninterruptible = 0x2
	taskStopped         = 0x4
	taskTraced          = 0x8
	exitZombie          = 0x20
	taskParked          = 0x40
	taskDead            = 0x80
	taskNoLoad          = 0x400
	taskFrozen          = 0x8000
)

// Frozen reports whether the freezer holds the task (suspend, hibernation, a frozen cgroup), in whatever it waited for before.
func (t Task) Frozen() bool { return t.State&taskFrozen != 0 }

// StateText is the letter that ps shows for a state: R, S, D (a frozen task, too), I (idle kernel thread), T, t, Z, P, X.
func (t Task) StateText() string {
	switch {
	case t.State == 0:
		return "R"
	case t.State&taskUninterruptible != 0 && t.State&taskNoLoad != 0:
		return "I"
	case t.State&taskUninterruptible != 0, t.Frozen():
		return "D"
	case t.State&taskInterruptible != 0:
		return "S"
	case t.State&taskStopped != 0:
		return "T"
	case t.State&taskTraced != 0:
		return "t"
	case t.State&exitZombie != 0:
		return "Z"
	case t.State&taskParked != 0:
		return "P"
	case t.State&taskDead != 0:
		return "X"
	}
	return "?"
}

// Switched is where a task that does not run stopped, as __switch_to_asm left it in a struct inactive_task_frame at SP
// (arch/x86/include/asm/switch_to.h): r15 r14 r13 r12 bx bp ret_addr.
type Switched struct {
	IP, SP, BP, BX, R12, R13, R14, R15 uint64
}

// Switched reads the frame of a task that does not run. IP is a return address; SP is the stack after the return.
func (t Task) Switched(mem Memory) (Switched, error) {
	c := cursor{mem: mem}
	s := Switched{R15: c.u64(t.SP), R14: c.u64(t.SP + 8), R13: c.u64(t.SP + 16), R12: c.u64(t.SP + 24), BX: c.u64(t.SP + 32),
		BP: c.u64(t.SP + 40), IP: c.u64(t.SP + 48), SP: t.SP + 56}
	if c.err != nil {
		return Switched{}, fmt.Errorf("task %d: stack at 0x%x: %w", t.PID, t.SP, c.err)
	}
	return s, nil
}
