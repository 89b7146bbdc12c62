package harness

import (
	"fmt"
	"os"
	"strings"
)

// QEMUNeeds is what QEMU takes besides the guest's memory, in bytes.
const QEMUNeeds = 200 << 20

// AvailableMemory is what can be used without swapping, in bytes: MemAvailable of proc(5). 0 when it is not said.
func AvailableMemory() uint64 {
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
