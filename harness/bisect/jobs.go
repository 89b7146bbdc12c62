package bisect

import "kcatch/harness"

// affordable is how many guests of so much memory fit into what is available, at most jobs and at least one. All sizes are bytes;
// nothing is known when available is 0.
func affordable(jobs int, memory, available uint64) int {
	if available == 0 {
		return jobs
	}
	return max(1, min(jobs, int(available/(memory+harness.QEMUNeeds))))
}
