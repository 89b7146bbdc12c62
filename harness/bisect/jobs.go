package bisect

import (
	"fmt"
	"os"
	"strings"
)

// qemuNeeds is what QEMU takes besides the guest's memory, in bytes.
const qemuNeeds = 200 << 20

// affordable is how many guests of so much memory fit into what is available, at most jobs and at least one. All sizes are bytes;
// nothing is known when available is 0.
func affordable(jobs int, memory, available uint64) int {
	if available == 0 {
		return jobs
	}
	return max(1, min(jobs, int(available/(memory+qemuNeeds))))
}

// availableMemory is what can be used without swapping, in bytes: MemAvailable of proc(5). 0 when it is not said.
func availableMemory() uint64 {
	data, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(data)) {
		var kb uint64
		if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kb); err == nil {
			return kb << 10
		}
	}
	return 0
}
