package report

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// The text that dump_page() prints of a VM_BUG_ON_PAGE is the stringified condition after macro expansion, cut at the
// kernel's line length: four thousand characters of __builtin_choose_expr (mm/debug.c, include/linux/mmdebug.h).
const (
	dumpReason   = "page dumped because: "
	macroMarker  = "__builtin_"
	longestPlain = 160
)

// readable shortens a record whose text is a macro-expanded condition: the head stays, the expansion is replaced by the
// condition as the source has it (assertion; may be empty), with a note of how long it was.
func readable(text, assertion string) string {
	at := strings.Index(text, dumpReason)
	if at < 0 || len(text)-at < longestPlain || !strings.Contains(text[at:], macroMarker) {
		return text
	}
	rest := text[at+len(dumpReason):]
	name, expansion, ok := strings.Cut(rest, "(")
	if !ok || len(name) > 40 {
		return text
	}
	what := "…"
	if assertion != "" {
		if _, condition, ok := strings.Cut(assertion, "("); ok {
			if i := strings.LastIndex(condition, ", "); i > 0 {
				condition = condition[:i]
			}
			what = strings.TrimSuffix(condition, ")")
			if strings.Count(what, "(") > strings.Count(what, ")") {
				what += ")"
			}
		}
	}
	return fmt.Sprintf("%s%s%s(%s)  [macro-expanded, %d characters]", text[:at], dumpReason, name, what, len(expansion))
}

// dumpLine matches the records of the kernel's own register dump and call trace (arch/x86/kernel/dumpstack.c,
// process_64.c): the report has both, symbolized, above.
var dumpLine = regexp.MustCompile(`^(CPU: \d+ .*(PID|Comm):|Hardware name: |(RIP|RSP|RAX|RBX|RCX|RDX|RSI|RDI|RBP|R\d\d|R\d|FS|CS|CR2|DR\d|Code|PKRU): |Call Trace:$| *</?(TASK|IRQ|NMI|#\w+)>$| (\? )?[\w.]+\+0x[0-9a-f]+/0x[0-9a-f]+)`)

// withoutDump leaves out the records that only repeat the registers and the chain.
func withoutDump(log []verdict.LogLine) []verdict.LogLine {
	return slices.DeleteFunc(slices.Clone(log), func(l verdict.LogLine) bool { return dumpLine.MatchString(l.Text) })
}
