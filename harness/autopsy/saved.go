package autopsy

import (
	"slices"
	"strings"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/harness/verdict"
)

// atReport makes of a finding by the kernel's log one by a vCPU's chain, in a core whose registers are those of the fault
// itself: an oops that goes to kdump saves the registers that it was handed (oops_end() in arch/x86/kernel/dumpstack.c calls
// crash_kexec(regs)), and the exception's own frame is further in on the stack.
func atReport(e *Evidence, f *Finding) *Finding {
	f.Notes = []string{"the core does not show the exception; the chain is from the kernel's own log"}
	if len(f.Chain.Frames) == 0 {
		return f
	}
	i := slices.IndexFunc(e.Chains, func(c Chain) bool { return len(c.Frames) > 0 && c.Regs.RIP == uint64(f.Chain.Frames[0].PC) })
	if i < 0 {
		return f
	}
	c := &e.Chains[i]
	t := &Trap{PC: c.Regs.RIP, Regs: c.Regs, CR2: c.Regs.CR2, Bug: f.reportedBug(e)}
	t.Vector, t.Known = reportedVector(e.Log, f.What)
	if t.ErrorCode, t.HasCode = errorCode(e.Log); !t.Vector.HasErrorCode() {
		t.ErrorCode, t.HasCode = 0, false
	}
	c.Frames[0].Exception = t.exception()
	at := atTrap(c, t, f.Class)
	at.Notes = []string{"the core has the registers of the exception; what it was is from the kernel's own log"}
	return at
}

func (f *Finding) reportedBug(e *Evidence) (site *verdict.BugSite) {
	for i := range e.Reports {
		if &e.Reports[i].Chain == f.Chain {
			return e.Reports[i].Bug
		}
	}
	return nil
}

// reportedVector is the vector of the log's first oops, by what the kernel calls it (arch/x86/kernel/traps.c,
// arch/x86/mm/fault.c): "BUG: unable to handle page fault for address", "invalid opcode: 0000 [#1]", "Oops: general protection
// fault, probably for non-canonical address …". text is the telling line of its report.
func reportedVector(log []linux.Record, text string) (amd64.Vector, bool) {
	texts := []string{text}
	for _, r := range log {
		if r.Facility == 0 && oopsLine.MatchString(r.Text) {
			texts = append(texts, r.Text)
			break
		}
	}
	for _, known := range []struct {
		text   string
		vector amd64.Vector
	}{
		{"kernel BUG at", amd64.InvalidOpcode}, {"invalid opcode", amd64.InvalidOpcode}, {"kernel NULL pointer dereference", amd64.PageFault},
		{"unable to handle page fault", amd64.PageFault}, {"general protection fault", amd64.GeneralProtection}, {"divide error", amd64.DivideError},
	} {
		if slices.ContainsFunc(texts, func(t string) bool { return strings.Contains(t, known.text) }) {
			return known.vector, true
		}
	}
	return 0, false
}
