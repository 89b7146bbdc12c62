package autopsy

import (
	"strings"
	"testing"

	"kcatch/gdb/value"
)

func TestAssertion(t *testing.T) {
	const header = `#define VM_BUG_ON_PGFLAGS(cond, page) VM_BUG_ON_PAGE(cond, page)
#define __SETPAGEFLAG(uname, lname, policy)				\
static __always_inline							\
void __folio_set_##lname(struct folio *folio)				\
{ WARN_ON(folio == NULL);						\
  __set_bit(PG_##lname, folio_flags(folio, FOLIO_##policy)); }		\
static __always_inline void __SetPage##uname(struct page *page)		\
{ VM_BUG_ON_PGFLAGS(atomic_read(&policy(page, 1)->_refcount), page);	\
  __set_bit(PG_##lname, &policy(page, 1)->flags); }

	__SETPAGEFLAG(Reserved, reserved, PF_NO_COMPOUND)
	BUG_ON(!list_empty(&x->list));
	int plain = f(1);
	VM_BUG_ON_FOLIO(a &&
`
	seed := "VM_BUG_ON_PGFLAGS(atomic_read(&policy(page, 1)->_refcount), page)"
	preferSeed := func(s string) bool { return strings.Contains(s, "_refcount") }
	for _, tc := range []struct {
		name   string
		line   int
		prefer func(string) bool
		want   string
	}{
		{"in the macro, the patch's own", 11, preferSeed, seed},
		{"in the macro, the first", 11, nil, "WARN_ON(folio == NULL)"},
		{"on the line", 12, nil, "BUG_ON(!list_empty(&x->list))"},
		{"none", 13, nil, ""},
		{"open at the end of the line", 14, nil, "VM_BUG_ON_FOLIO(a &&"},
		{"line zero", 0, nil, ""},
		{"past the end", 99, nil, ""},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, ok := assertion(header, tc.line, tc.prefer); got.Text != tc.want || ok != (tc.want != "") {
				t.Errorf("line %d: %q, want %q", tc.line, got.Text, tc.want)
			}
		})
	}
}

// TestCondition: what has failed, by the macro's argument or the if around it. The pieces are of the forms that
// the kernel's source has.
func TestCondition(t *testing.T) {
	for _, tc := range []struct{ name, source, macro, want string }{
		{"a macro with a page", "	VM_BUG_ON_PAGE(PageTail(page), page);", "VM_BUG_ON_PAGE", "PageTail(page)"},
		{"two lines", "	BUG_ON(!PageSlab(page) &&\n	       x(\"a)\", /* ( */ 1));", "BUG_ON", `!PageSlab(page) && x("a)", 1)`},
		{"no assertion by name", "	if (CHECK_DATA_CORRUPTION(prev == NULL,", "", ""},
		{"WARN_ON_ONCE", "	WARN_ON_ONCE(tsk != current && !tsk->exit_state);", "WARN_ON_ONCE", "tsk != current && !tsk->exit_state"},
		{"BUG in an if", "	if (unlikely(!pages))\n		BUG();", "BUG", "unlikely(!pages)"},
		{"BUG in a block", "	if (a->x) {\n		pr_err(\"}\\n\");\n		BUG();", "BUG", "a->x"},
		{"a block in the block", "	if (a) {\n		if (b) {\n			f();\n		}\n		BUG();", "BUG", "a"},
		{"one in front", "	if (a)\n		f();\n	BUG();", "BUG", ""},
		{"else", "	if (a)\n		f();\n	else\n		BUG();", "BUG", ""},
		{"switch", "	if (a) {\n		switch (b) {\n		default:\n			BUG();", "BUG", ""},
		{"WARN_ON(1)", "	if (x < 0) /* no (way) */\n		WARN_ON(1);", "WARN_ON", "x < 0"},
		{"WARN with a text", "	WARN(state & 4, \"a, b %d\\n\", f(x, y));", "WARN", "state & 4"},
		{"as a value", "	if (WARN_ON(!p))\n		return;", "WARN_ON", "!p"},
	} {
		lines := strings.Split(tc.source, "\n")
		line := 0
		for i, l := range lines {
			if assertCall.MatchString(l) {
				line = i + 1
			}
		}
		got, _ := assertion(tc.source, line, nil)
		if got.Macro != tc.macro || got.Condition != tc.want {
			t.Errorf("%s: %q %q, want %q %q", tc.name, got.Macro, got.Condition, tc.macro, tc.want)
		}
	}
}

// TestConditionMacros expands what stands for a macro's parameters, through two macros.
func TestConditionMacros(t *testing.T) {
	const source = `#define PF_POISONED_CHECK(page) ({					\
		VM_BUG_ON_PGFLAGS(PagePoisoned(page), page);		\
		page; })
#define PF_HEAD(page, enforce)	PF_POISONED_CHECK(compound_head(page))
#define PF_NO_COMPOUND(page, enforce)					\
	({								\
		VM_BUG_ON_PGFLAGS(enforce && PageCompound(page), page);	\
		PF_POISONED_CHECK(page); })
#define REFCOUNT(at) do {						\
	BUG_ON(atomic_read(&(at)->_refcount) == LIMIT);			\
} while (0)
#ifdef CONFIG_X
#define LIMIT 1
#else
#define LIMIT 2
#endif
#define __SETPAGEFLAG(uname, lname, policy)				\
static __always_inline void __SetPage##uname(struct page *page)		\
{ REFCOUNT(policy(page, 1)); }
	__SETPAGEFLAG(Reserved, reserved, PF_NO_COMPOUND)
`
	got, ok := assertion(source, strings.Count(source, "\n"), nil)
	if !ok || got.Condition != "atomic_read(&(at)->_refcount) == LIMIT" || len(got.uses) != 2 {
		t.Fatalf("%+v", got)
	}
	// Of kernels/patches/pgflags-refcount-warn, cut down: what says it once is not all of the condition.
	once, ok := assertion("#define ONCE(at) do { \\\n if (unlikely(atomic_read(at))) { \\\n  bool *said; \\\n  if (!*said && !xchg(said, true)) \\\n"+
		"   WARN(1, \"x\", 1); \\\n } } while (0)\nif (x) {\n ONCE(&p->c);\n", 8, nil)
	if want := "(unlikely(atomic_read(at))) && (!*said && !xchg(said, true))"; !ok || once.Condition != want {
		t.Errorf("%+v, want %s", once, want)
	}
	e, err := value.ParseWith(got.Condition, got.macrosOf(source))
	if err != nil {
		t.Fatal(err)
	}
	if s := e.Expanded(); s != "page->_refcount == LIMIT" {
		t.Error(s)
	}
}

func FuzzAssertion(f *testing.F) {
	f.Add("#define A(x) \\\n BUG_ON(x)\nA(1)\n", 3)
	f.Fuzz(func(t *testing.T, src string, line int) {
		got, ok := assertion(src, line, nil)
		if strings.Contains(got.Text+got.Condition+got.Macro, "\n") || !ok && got.Text != "" {
			t.Errorf("an assertion of two lines: %+v", got)
		}
		if e, err := value.ParseWith(got.Condition, got.macrosOf(src)); err == nil && e.String() != got.Condition {
			t.Errorf("%q became %q", got.Condition, e)
		}
	})
}
