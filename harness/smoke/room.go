package smoke

import (
	"runtime"
	"slices"

	"kcatch/harness"
)

// room is what boots may take together. The zero value is room for anything.
type room struct {
	boots  int    // at a time; 0: any number
	vcpus  int    // of all guests together; 0: any number
	memory uint64 // bytes, QEMU's own included; 0: not known
}

// Jobs is how many of the cells are to be booted at a time on so many cores with so much memory available (bytes; 0: not known):
// each vCPU of a guest takes a core, and each guest its memory and what QEMU needs besides. It is at least 1. Wide cells count for
// all of their vCPUs, so that less of them run at a time.
func Jobs(cores int, memory uint64, cells []Cell) int {
	vcpus, sizes := make([]int, len(cells)), make([]uint64, len(cells))
	for i := range cells {
		vcpus[i], sizes[i] = load(&cells[i])
	}
	slices.Sort(vcpus)
	slices.Sort(sizes)
	n, cpus, bytes := 0, 0, uint64(0)
	for ; n < len(cells); n++ { // the least demanding ones: there are never more at a time
		cpus, bytes = cpus+vcpus[n], bytes+sizes[n]
		if cpus > cores || memory > 0 && bytes > memory {
			break
		}
	}
	return max(1, n)
}

// load is what a cell takes: cores, and bytes of memory.
func load(c *Cell) (vcpus int, memory uint64) {
	return max(1, c.Plan.CPUs), c.Plan.Memory + harness.QEMUNeeds
}

// roomFor is the room of a request on this machine. A number of jobs that somebody asked for is that number, of any width.
func roomFor(req *Request) room {
	if req.Jobs > 0 {
		return room{boots: req.Jobs}
	}
	cores, memory := runtime.GOMAXPROCS(0), harness.AvailableMemory() // what a container is given counts, not what its host has
	return room{boots: Jobs(cores, memory, req.Cells), vcpus: cores, memory: memory}
}

// fits reports whether a cell may begin beside those that run. One alone always may.
func (r room) fits(c *Cell, running []*Cell) bool {
	if len(running) == 0 {
		return true
	}
	vcpus, memory := load(c)
	for _, other := range running {
		v, m := load(other)
		vcpus, memory = vcpus+v, memory+m
	}
	return (r.boots == 0 || len(running) < r.boots) && (r.vcpus == 0 || vcpus <= r.vcpus) && (r.memory == 0 || memory <= r.memory)
}
