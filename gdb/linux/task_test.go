package linux

import (
	"encoding/binary"
	"errors"
	"testing"
)

// words is memory of 8-byte words; what is not there cannot be read.
type words map[uint64]uint64

func (m words) ReadMemory(p []byte, addr uint64) (int, error) {
	for i := range p {
		w, ok := m[(addr+uint64(i))&^7]
		if !ok {
			return i, errors.New("nothing there")
		}
		var b [8]byte
		binary.LittleEndian.PutUint64(b[:], w)
		p[i] = b[(addr+uint64(i))&7]
	}
	return len(p), nil
}

var taskTestLayout = TaskLayout{State: 0, OnCPU: 8, CPU: -1, Tasks: 16, PID: 24, SP: 32, Comm: 40}

// task puts a task_struct at addr whose list goes on at next.
func (m words) task(addr, next uint64, pid uint32, state uint64, comm string) {
	var name [16]byte
	copy(name[:], comm)
	m[addr], m[addr+8], m[addr+16], m[addr+24], m[addr+32] = state, 0, next+16, uint64(pid), 0x9000
	m[addr+40], m[addr+48] = binary.LittleEndian.Uint64(name[:8]), binary.LittleEndian.Uint64(name[8:])
}

func TestTasks(t *testing.T) {
	m := words{}
	m.task(0x1000, 0x2000, 0, 0, "swapper/0")
	m.task(0x2000, 0x3000, 1, taskUninterruptible, "init")
	m.task(0x3000, 0x1000, 2, taskUninterruptible|taskNoLoad, "kthreadd-with-a-long-name")
	got, err := Tasks(m, 0x1000, taskTestLayout)
	if err != nil || len(got) != 3 || got[1].PID != 1 || got[1].Comm != "init" || got[1].StateText() != "D" || got[2].StateText() != "I" || got[0].StateText() != "R" {
		t.Fatalf("Tasks = %+v, %v", got, err)
	}
	if frozen := (Task{State: taskFrozen}); frozen.StateText() != "D" || !frozen.Frozen() || got[1].Frozen() {
		t.Errorf("a frozen task is %s", frozen.StateText())
	}
	for i := range uint64(7) {
		m[0x9000+8*i] = i
	}
	if s, err := got[1].Switched(m); err != nil || s.IP != 6 || s.BP != 5 || s.SP != 0x9038 {
		t.Errorf("Switched = %+v, %v", s, err)
	}
	m.task(0x3000, 0x3000, 2, 0, "loop") // a ring that leaves init out
	if got, err := Tasks(m, 0x1000, taskTestLayout); err == nil || len(got) != maxTasks {
		t.Errorf("a broken list gives %d tasks, %v", len(got), err)
	}
	delete(m, 0x2000)
	if got, err := Tasks(m, 0x1000, taskTestLayout); err == nil || len(got) != 1 {
		t.Errorf("an unreadable task gives %d tasks, %v", len(got), err)
	}
}

func FuzzTasks(f *testing.F) {
	f.Add(uint64(0x1000), uint64(0x2000))
	f.Fuzz(func(t *testing.T, a, b uint64) {
		m := words{}
		m.task(a&^7, b&^7, 1, 0, "x")
		got, err := Tasks(m, a&^7, taskTestLayout)
		if (err == nil) != (len(got) == 1 && a&^7 == b&^7) {
			t.Errorf("%d tasks, %v", len(got), err)
		}
	})
}
