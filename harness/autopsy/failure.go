package autopsy

import (
	"encoding/binary"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/gdb/value"
	"kcatch/harness/verdict"
	"kcatch/harness/watch"
)

// told is what the source and memory say of a frame at fault. Memory is read when the chain is: a kernel that lives on changes it.
type told struct {
	frame     int
	assertion *verdict.Assertion
	page      *verdict.Page
	scope     *FrameScope
}

// tellDeath tells of the death that the chains show, if they show one.
func (s *Scene) tellDeath(e *Evidence) {
	f := exception(e)
	if f == nil {
		f = panicked(e)
	}
	if f == nil {
		return
	}
	for i := range e.Chains {
		if c := &e.Chains[i]; c.CPU == f.CPU {
			if f.Trap != nil {
				s.readErrorCode(c, f.Trap)
			}
			s.tell(nil, c, f)
		}
	}
}

// WarnedOf is the backtrace of a vCPU that stands in __warn().
func (s *Scene) WarnedOf(h watch.Hit) Chain {
	c := s.ChainOf(h.CPU, h.Regs)
	if slices.Contains(s.FailOn, verdict.Warn) { // a verdict on it will be given when the boot is over
		c.moment = s.Moment(h.After)
		s.tell(nil, &c, warned(&c))
	}
	return c
}

// Moment is the machine as it stands, this long after power-on.
func (s *Scene) Moment(after time.Duration) *Moment {
	m := &Moment{After: after, Kernel: KernelState{SystemState: -1, Consoles: -1}}
	mem := s.kernelMemory()
	if mem == nil {
		return m
	}
	m.Kernel.read(s, mem)
	if ring, ok := s.Kernel.LogNow(mem, *s.Placement); ok {
		if last, _ := ring.Records(1); len(last) > 0 { // what cannot be read is said of the whole log, later
			m.Records = last[0].Seq + 1
		}
	}
	return m
}

// Rehearse does what an early exception of a vCPU with these registers will ask for, so that the files are read by then.
func (s *Scene) Rehearse(cpu int, regs amd64.Registers) {
	s.tellDeath(&Evidence{Chains: []Chain{s.ChainOf(cpu, regs)}})
}

// tell finds out what failed at f.Frame of a chain. log is the log if it has been read.
func (s *Scene) tell(log []linux.Record, c *Chain, f *Finding) {
	if f == nil || f.Frame < 0 || f.Frame >= len(c.Frames) {
		return
	}
	c.told = &told{frame: f.Frame}
	fr := &c.Frames[f.Frame]
	at := &failure{log: log, chain: c, frame: f.Frame, file: fr.File, line: fr.Line}
	if t := f.Trap; t != nil && t.Bug != nil && t.Bug.File != "" {
		at.file, at.line = t.Bug.File, t.Bug.Line
	} else if fr.Outside {
		at.file = ""
	}
	if at.file != "" {
		s.assertion(c.told, at)
	}
	if c.told.page == nil {
		c.told.page = s.pageOf(c, f.Frame)
	}
}

// failure is an assertion that failed in a frame.
type failure struct {
	log   []linux.Record // nil: not read yet
	chain *Chain
	frame int
	file  string
	line  int // 1-based

	site
	macros value.Macros
	scope  *FrameScope
}

// assertion finds the condition that failed in the source, the patch that put it there, and what it read.
func (s *Scene) assertion(out *told, f *failure) {
	if s.Source == nil {
		return
	}
	src, err := s.Source(f.file)
	if err != nil {
		return
	}
	source := string(src)
	patch := ""
	found, ok := assertion(source, f.line, func(t string) bool {
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
	f.site, f.macros = found, found.macrosOf(source)
	if patch == "" && s.Patched != nil {
		patch = s.Patched(f.file, found.Text)
	}
	out.assertion = &verdict.Assertion{Text: found.Text, Patch: patch, Macro: found.Macro, Condition: found.Condition}
	if s.kernelMemory() == nil {
		return
	}
	f.scope = s.Scope(f.chain, f.frame)
	out.scope = f.scope
	given := f.given(s)
	out.assertion.Values, out.assertion.Result = f.values(s)
	if given == 0 || f.chain.acts == nil {
		return
	}
	if out.page = s.pageOf(f.chain, f.frame); out.page == nil {
		if out.page = s.page(f.chain, given); out.page != nil {
			out.page.Variable, out.page.Function, out.page.ByLog = f.args[1], f.chain.Frames[f.frame].Function, true
		}
	}
}

// values are what the condition read, and what it comes to now. A condition that is no expression here (it assigns, say) has none.
func (f *failure) values(s *Scene) (values []verdict.ConditionValue, result string) {
	if f.Condition == "" {
		return nil, ""
	}
	e, err := value.ParseWith(f.Condition, f.macros)
	if err != nil {
		return nil, ""
	}
	text := s.textOptions(f.chain)
	written := strings.ReplaceAll(f.Condition, " ", "")
	for _, r := range e.Reads(f.scope) {
		text.Member = r.Text[strings.LastIndexAny(r.Text, ".>")+1:]
		v := verdict.ConditionValue{Expression: r.Text, Type: value.TypeName(r.Value.Type), Value: r.Value.Text(text), Through: r.Through,
			Derived: !strings.Contains(written, strings.ReplaceAll(r.Text, " ", "")), ByLog: f.scope.byLog == r.Text && r.Text != ""}
		if r.Value.Type == nil {
			v.Type = ""
		}
		if r.Value.HasAddr {
			v.Address, v.Size = verdict.Hex(r.Value.Addr), int(r.Value.Size())
		}
		values = append(values, v)
	}
	text.Member = ""
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
	if f.log == nil {
		if ring, ok := s.Kernel.Log(s.kernelMemory(), *s.Placement); ok {
			f.log, _ = ring.Records(lastRecords)
		}
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
	e, err := value.ParseWith(f.args[1], f.macros)
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

// lastRecords is how many records of the log are looked at for what came just before the trap.
const lastRecords = 64

// dumpedPFN finds the pfn in the first line of dump_page (mm/debug.c), 6.1's and 6.12's:
//
//	page:(____ptrval____) refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x0
//	page: refcount:1 mapcount:0 mapping:0000000000000000 index:0x0 pfn:0x0
var dumpedPFN = regexp.MustCompile(`^page:\S* ?refcount:-?\d+ mapcount:-?\d+ .*\bpfn:0x([0-9a-f]{1,16})$`)

// dumped is the pfn of the page that the kernel dumped last, if that belongs to the trap of this line: the kernel has reported no other one
// since, or this one. A WARNING is reported only after the place where its chain is read.
func dumped(log []linux.Record, line int) (pfn uint64, ok bool) {
	const longest = 16 // records of one dump
	at := -1
	for i := len(log) - 1; i >= 0 && at < 0; i-- {
		if strings.HasPrefix(log[i].Text, "page dumped because: ") {
			at = i
		}
	}
	if at < 0 {
		return 0, false
	}
	for _, r := range log[at+1:] {
		if _, bug, is := strings.Cut(r.Text, "kernel BUG at "); is {
			if !strings.HasSuffix(strings.TrimSpace(bug), ":"+strconv.Itoa(line)+"!") {
				return 0, false
			}
			break
		}
		if i := strings.Index(r.Text, "WARNING: CPU"); i >= 0 {
			if !strings.Contains(r.Text[i:], ":"+strconv.Itoa(line)+" ") {
				return 0, false
			}
			break
		}
	}
	for i := at; i >= max(0, at-longest); i-- {
		if m := dumpedPFN.FindStringSubmatch(strings.TrimSpace(log[i].Text)); m != nil {
			n, err := strconv.ParseUint(m[1], 16, 64)
			return n, err == nil && n < 1<<40
		}
	}
	return 0, false
}
