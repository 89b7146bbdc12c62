package verdict

// NotBegun is the note of a [Check] whose turn did not come.
const NotBegun = "not begun"

// Failed reports whether a subtest counts against what was tested: it failed, or its result never came.
func (s *Subtest) Failed() bool { return s.Status == "fail" || s.Status == "lost" }

// Failed are the steps of a workload that failed, and, when it came to no end, the one that it was in. A step that is not there has
// not failed.
func (w *Workload) Failed() []WorkloadStep {
	var out []WorkloadStep
	for _, s := range w.Steps {
		if s.Outcome == "failed" || s.Outcome == "begun" && !w.Ended {
			out = append(out, s)
		}
	}
	return out
}
