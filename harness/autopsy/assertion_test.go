package autopsy

import (
	"strings"
	"testing"
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
			if got := assertion(header, tc.line, tc.prefer); got != tc.want {
				t.Errorf("line %d: %q, want %q", tc.line, got, tc.want)
			}
		})
	}
}

func FuzzAssertion(f *testing.F) {
	f.Add("#define A(x) \\\n BUG_ON(x)\nA(1)\n", 3)
	f.Fuzz(func(t *testing.T, src string, line int) {
		if got := assertion(src, line, nil); strings.Contains(got, "\n") {
			t.Errorf("an assertion of two lines: %q", got)
		}
	})
}
