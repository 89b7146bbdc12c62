package autopsy

import (
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"

	"kcatch/gdb/linux"
	"kcatch/gdb/value"
	"kcatch/harness/verdict"
)

// failure is an assertion that failed in a frame.
type failure struct {
	log   []linux.Record
	chain *Chain
	frame int
	file  string
	line  int // 1-based

	site
	source string
	scope  *FrameScope
}

// assertion finds the condition that failed in the source, the patch that put it there, and what it read.
func (s *Scene) assertion(out *verdict.Cause, f *failure) {
	if s.Source == nil {
		return
	}
	src, err := s.Source(f.file)
	if err != nil {
		return
	}
	f.source = string(src)
	patch := ""
	found, ok := assertion(f.source, f.line, func(t string) bool {
		if s.Patched == nil {
			return false
		}
		name := s.Patched(f.file, t)
		if name != "" {
			patch = name
		}
		return name != ""
	})
	if !ok {
		return
	}
	f.site = found
	if patch == "" && s.Patched != nil {
		patch = s.Patched(f.file, found.Text)
	}
	out.Assertion = &verdict.Assertion{Text: found.Text, Patch: patch, Macro: found.Macro, Condition: found.Condition}
	f.scope = s.Scope(f.chain, f.frame)
	s.death.scope = f.scope
	given := f.given(s)
	out.Assertion.Values, out.Assertion.Result = f.values(s)
	if given != 0 {
		if out.Page = s.pageOf(f.chain, f.frame); out.Page == nil {
			if out.Page = s.page(f.chain, given); out.Page != nil {
				out.Page.Variable, out.Page.Function, out.Page.ByLog = f.args[1], out.Function, true
			}
		}
	}
}

// values are what the condition read, and what it comes to now. A condition that is no expression here (it assigns, say) has none.
func (f *failure) values(s *Scene) (values []verdict.ConditionValue, result string) {
	if f.Condition == "" {
		return nil, ""
	}
	e, err := value.ParseWith(f.Condition, f.macrosOf(f.source))
	if err != nil {
		return nil, ""
	}
	text := s.textOptions(f.chain)
	written := strings.ReplaceAll(f.Condition, " ", "")
	for _, r := range e.Reads(f.scope) {
		v := verdict.ConditionValue{Expression: r.Text, Type: value.TypeName(r.Value.Type), Value: r.Value.Text(text), Through: r.Through,
			Derived: !strings.Contains(written, strings.ReplaceAll(r.Text, " ", "")), ByLog: f.scope.byLog == r.Text && r.Text != ""}
		if r.Value.HasAddr {
			v.Address, v.Size = verdict.Hex(r.Value.Addr), int(r.Value.Size())
		}
		values = append(values, v)
	}
	if v, err := e.Eval(f.scope); err == nil {
		result = v.Text(text)
	}
	return values, result
}

// given is the address of the struct page that the assertion's macro was given and dumped, 0 when there was none: VM_BUG_ON_PAGE(cond,
// page), VM_BUG_ON_FOLIO and VM_BUG_ON_PGFLAGS call dump_page before they trap (include/linux/mmdebug.h), and that call leaves no
// register with the page in it. The log has its pfn. Where the variable of that name has no value, it gets this one.
func (f *failure) given(s *Scene) uint64 {
	if len(f.args) < 2 || !strings.HasPrefix(f.Macro, "VM_") {
		return 0
	}
	pfn, ok := dumped(f.log, f.line)
	layout, err := s.Kernel.PageLayout()
	if !ok || err != nil {
		return 0
	}
	vmemmap := linux.VmemmapOf(f.scope, s.vmemmapBase())
	if vmemmap == 0 {
		return 0
	}
	addr := vmemmap + pfn*uint64(layout.Size)
	e, err := value.ParseWith(f.args[1], f.macrosOf(f.source))
	if err != nil {
		return addr
	}
	name := e.Expanded()
	if v, ok := f.scope.locals[name]; ok && v.Err != nil && pagePointer(v.Type) {
		f.scope.locals[name] = value.Value{Type: v.Type, Bytes: binary.LittleEndian.AppendUint64(nil, addr)}
		f.scope.byLog = name
	}
	return addr
}

// dumpedPFN finds the pfn in the first line of dump_page (mm/debug.c), 6.1's and 6.12's:
//
//	page:(____ptrval____) refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x0
//	page: refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x0
var dumpedPFN = regexp.MustCompile(`^page:\S* ?refcount:-?\d+ mapcount:-?\d+ .*\bpfn:0x([0-9a-f]{1,16})$`)

// dumped is the pfn of the page that the kernel dumped last, if the BUG or the WARNING of this line is what followed.
func dumped(log []linux.Record, line int) (pfn uint64, ok bool) {
	const longest, after = 16, 4 // records of one dump; those after it up to the trap's
	at := -1
	for i := len(log) - 1; i >= 0 && at < 0; i-- {
		if strings.HasPrefix(log[i].Text, "page dumped because: ") {
			at = i
		}
	}
	if at < 0 {
		return 0, false
	}
	trap := "kernel BUG at "
	for _, r := range log[at:min(len(log), at+1+after)] {
		if i := strings.Index(r.Text, trap); i >= 0 && strings.Contains(r.Text[i:], ":"+strconv.Itoa(line)+"!") || strings.Contains(r.Text, "WARNING: CPU") {
			ok = true
		}
	}
	if !ok {
		return 0, false
	}
	for i := at; i >= max(0, at-longest); i-- {
		if m := dumpedPFN.FindStringSubmatch(strings.TrimSpace(log[i].Text)); m != nil {
			n, err := strconv.ParseUint(m[1], 16, 64)
			return n, err == nil && n < 1<<40
		}
	}
	return 0, false
}
