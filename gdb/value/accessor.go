package value

// accessors are functions and macros of the kernel that only read, as macros over the objects that they read. Each holds for 6.1 and
// 6.12; one whose meaning has changed in between is not here.
var accessors = map[string]Macro{
	// include/linux/compiler.h, rcupdate.h, asm-generic/barrier.h
	"likely":                    of("(x)", "x"),
	"unlikely":                  of("(x)", "x"),
	"__builtin_expect":          of("(x)", "x", "y"),
	"READ_ONCE":                 of("(x)", "x"),
	"__READ_ONCE":               of("(x)", "x"),
	"data_race":                 of("(x)", "x"),
	"smp_load_acquire":          of("(*(p))", "p"),
	"rcu_dereference":           of("(p)", "p"),
	"rcu_access_pointer":        of("(p)", "p"),
	"rcu_dereference_raw":       of("(p)", "p"),
	"rcu_dereference_check":     of("(p)", "p", "c"),
	"rcu_dereference_protected": of("(p)", "p", "c"),

	// include/linux/atomic, refcount.h, kref.h
	"atomic_read":      of("(*(v))", "v"),
	"atomic64_read":    of("(*(v))", "v"),
	"atomic_long_read": of("(*(v))", "v"),
	"refcount_read":    of("(*(r))", "r"),
	"kref_read":        of("((k)->refcount)", "k"),

	// include/linux/err.h, list.h, bitops.h
	"IS_ERR":             of("((unsigned long)(p) >= (unsigned long)-4095)", "p"),
	"IS_ERR_VALUE":       of("((unsigned long)(x) >= (unsigned long)-4095)", "x"),
	"IS_ERR_OR_NULL":     of("(!(p) || IS_ERR(p))", "p"),
	"PTR_ERR":            of("((long)(p))", "p"),
	"list_empty":         of("((h)->next == (h))", "h"),
	"list_empty_careful": of("((h)->next == (h) && (h)->prev == (h))", "h"),
	"hlist_empty":        of("(!(h)->first)", "h"),
	"hlist_unhashed":     of("(!(h)->pprev)", "h"),
	"test_bit":           of("(((unsigned long *)(p))[(n) / 64] >> ((n) % 64) & 1)", "n", "p"),
	"IS_ALIGNED":         of("(((x) & ((a) - 1)) == 0)", "x", "a"),
	"BIT":                of("(1UL << (n))", "n"),
	"offset_in_page":     of("((unsigned long)(p) & 4095)", "p"),
	"NULL":               {Body: "((void *)0)"},
	"true":               {Body: "1"},
	"false":              {Body: "0"},
	"PAGE_SIZE":          {Body: "4096UL"},
	"PAGE_SHIFT":         {Body: "12"},
	"PAGE_MASK":          {Body: "(~4095UL)"},

	// include/linux/preempt.h without PREEMPT_RT, arch/x86/include/asm/preempt.h (the highest bit is PREEMPT_NEED_RESCHED), smp.h,
	// irqflags.h. A scope knows per-CPU variables, and as __rflags the flags register.
	"preempt_count":        of("(__preempt_count & 0x7fffffff)"),
	"nmi_count":            of("(preempt_count() & 0x00f00000)"),
	"hardirq_count":        of("(preempt_count() & 0x000f0000)"),
	"softirq_count":        of("(preempt_count() & 0x0000ff00)"),
	"irq_count":            of("(preempt_count() & 0x00ffff00)"),
	"in_nmi":               of("nmi_count()"),
	"in_irq":               of("hardirq_count()"),
	"in_hardirq":           of("hardirq_count()"),
	"in_softirq":           of("softirq_count()"),
	"in_interrupt":         of("irq_count()"),
	"in_serving_softirq":   of("(preempt_count() & 0x00000100)"),
	"in_task":              of("(!(preempt_count() & 0x00ff0100))"),
	"in_atomic":            of("(preempt_count() != 0)"),
	"irqs_disabled":        of("(!(__rflags & 0x200))"),
	"smp_processor_id":     of("cpu_number"),
	"raw_smp_processor_id": of("cpu_number"),

	// include/linux/mm.h, page_ref.h, page-flags.h. compound_head is an operation of its own, evaluator.head.
	"_compound_head":  of("((unsigned long)compound_head(p))", "p"),
	"page_folio":      of("((struct folio *)compound_head(p))", "p"),
	"page_ref_count":  of("((p)->_refcount)", "p"),
	"page_count":      of("(compound_head(p)->_refcount)", "p"),
	"folio_ref_count": of("((f)->_refcount)", "f"),
	"PageTail":        of("((p)->compound_head & 1)", "p"),
	"PageHead":        of("((p)->flags >> PG_head & 1)", "p"),
	"PageCompound":    of("(PageHead(p) || PageTail(p))", "p"),
	"PagePoisoned":    of("((p)->flags == -1UL)", "p"),
	"PageReserved":    of("((p)->flags >> PG_reserved & 1)", "p"),
}

// compoundHead is a function that is evaluated as itself, so that a page's head keeps its name in texts.
const compoundHead = "compound_head"

// Known reports whether a function or macro of the kernel is among those that only read. What it means here is more than its own
// definition could say, which may call functions.
func Known(name string) bool {
	_, ok := accessors[name]
	return ok || name == compoundHead
}

// of is a macro with a body and parameters.
func of(body string, params ...string) Macro {
	return Macro{Function: true, Params: params, Body: body}
}
