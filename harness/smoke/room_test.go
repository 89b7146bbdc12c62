package smoke

import (
	"testing"

	"kcatch/harness"
)

func TestJobs(t *testing.T) {
	cells := func(vcpus ...int) []Cell {
		var list []Cell
		for _, n := range vcpus {
			list = append(list, Cell{Plan: harness.Plan{CPUs: n, Memory: 256 << 20}})
		}
		return list
	}
	for _, tt := range []struct {
		name   string
		cores  int
		memory uint64
		cells  []Cell
		want   int
	}{
		{"as many as there are cores", 4, 0, cells(1, 1, 1, 1, 1, 1), 4},
		{"no more than there are cells", 8, 0, cells(1, 1), 2},
		{"wide ones", 4, 0, cells(2, 2, 2, 2), 2},
		{"mixed: the narrow ones side by side", 4, 0, cells(4, 1, 2, 1), 3},
		{"too wide for the machine", 1, 0, cells(4, 4), 1},
		{"little memory", 8, 1 << 30, cells(1, 1, 1, 1), 2}, // 456 MiB each
		{"no memory", 8, 1, cells(1, 1, 1, 1), 1},
		{"no cells", 8, 0, nil, 1},
	} {
		if got := Jobs(tt.cores, tt.memory, tt.cells); got != tt.want {
			t.Errorf("%s: %d jobs, want %d", tt.name, got, tt.want)
		}
	}
}

// TestWideCells: cells count for all of their vCPUs, a wide one lets narrow ones pass, and runs alone at last.
func TestWideCells(t *testing.T) {
	wide := cellOf("wide", "")
	wide.Plan.CPUs = 4
	list := []Cell{cellOf("a", ""), wide, cellOf("b", ""), cellOf("c", "")}
	b := newBoard(list, room{vcpus: 2, memory: 4 << 30})
	begin := func(want string) {
		t.Helper()
		got := ""
		for {
			i, ok := b.nextBoot()
			if !ok {
				break
			}
			b.cell[i] = running
			got += list[i].Name + " "
		}
		if got != want {
			t.Errorf("%q begin, want %q", got, want)
		}
	}
	begin("a b ")
	b.cell[0] = over
	begin("c ")
	b.cell[2] = over
	begin("")
	b.cell[3] = over
	begin("wide ")
	if b.idle() {
		t.Error("idle while the wide one runs")
	}
	// An asked-for number of jobs is that number, of any width; memory that is known to be short holds otherwise.
	b = newBoard([]Cell{wide, wide, cellOf("a", "")}, room{boots: 2})
	list = b.cells
	begin("wide wide ")
	b = newBoard([]Cell{wide, wide}, room{memory: 500 << 20})
	list = b.cells
	begin("wide ")
}
