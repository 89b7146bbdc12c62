package value_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"kcatch/gdb/value"
)

// conditions are expressions that gcc evaluates too: they must come to the same number.
var conditions = []string{
	"minus", "minus / 2", "minus % 4", "minus >> 1", "-minus", "~seven", "!seven", "!!minus", "+byte",
	"big", "big + 20", "big > minus", "big < 0", "minus < 0", "minus < 0u", "minus < 0L", "(long)big + 20", "big * big",
	"large", "large >> 38", "large << 3", "large * 2 - 1", "(int)large", "(int)(large + 5)", "1 << 31", "1u << 31", "1L << 63",
	"byte", "(char)byte", "(signed char)byte + 1", "byte + 100", "negative", "(u8)negative", "(unsigned)negative", "(u32)minus >> 28",
	"0x7fffffff + 0L", "0xffffffff", "4294967295", "0777", "0b1011", "'a'", "'\\n'", "'\\0'", "'\\x41'", "'\\''", "017L", "10ul",
	"1 + 2 * 3", "(1 + 2) * 3", "10 - 3 - 2", "100 / 7 / 2", "1 ? 2 : 3", "0 ? 2 : 1 ? 4 : 5", "2 ?: 3", "1 | 2 ^ 3 & 6", "1 == 1 != 0",
	"3 > 2 > 1", "1 << 2 + 1", "0 && 1 / 0", "1 || 1 / 0", "seven && minus", "seven == 7 && minus == -7 || big",
	"object.color", "object.color == GREEN", "BLUE", "object.bits & BIT_C", "object.bits & ~BIT_A", "(enum color)5 == GREEN",
	"object.in.low", "object.in.high", "object.in.sign", "object.in.wide", "object.in.c", "object.in.sign < 0", "object.in.low - 6", "object.in.high * 2",
	"object.numbers[0]", "object.numbers[2] + 1", "*(object.numbers + 3)", "object.matrix[1][2]", "*(*object.matrix + 1)", "object.matrix[1][-1]",
	"pointer->matrix[0][1]", "pointer->in.low", "(*pointer).numbers[1]", "pointer == &object", "nothing == 0", "!nothing", "!pointer",
	"nothing || pointer->ready", "nothing && nothing->ready", "pointer->ready + 1", "object.comm[0]", "object.comm[9]", "object.mac[1]",
	"pages[0].flags", "pages[2].flags == -1UL", "pages[1].compound_head - (unsigned long)pages", "pages[0].index", "pages[0]._mapcount.counter",
	"pages[0].page_type", "&pages[2] - pages", "(unsigned long)&pages[1].flags - (unsigned long)&pages[0]", "&pages[1] > pages", "pages + 1 == &pages[1]",
	"(&pages[1])->_refcount.refs.counter", "pointer->page[1]._refcount.refs.counter", "((struct page *)(pages[1].compound_head - 1))->flags",
	"((struct page *)((char *)pages + sizeof(struct page)))->flags", "*(int *)&large", "*((int *)&large + 1)", "*(unsigned char *)&minus",
	"pages[0].lru.next == &pages[1].lru", "object.list.next == &object.list", "sizeof(int)", "sizeof(struct page)", "sizeof object", "sizeof(object.comm)",
	"sizeof(nothing->matrix)", "sizeof(*nothing)", "sizeof(u32)", "sizeof(char *)", "sizeof(byte + 1)", "sizeof seven * 2", "sizeof(unsigned long long)",
	"(bool)256", "(bool)nothing", "(long)object.error", "(unsigned long)object.error >= -4095UL", "object.callback == callback", "object.callback == &callback",
	"(size_t)pointer == (unsigned long)&object", "pages[0].tag[0] == *(char *)&pages[0].tag", "*object.name", "object.name[4]", "words[1][2]", "**words",
	"({ int i = 3; seven; })",
	"(typeof(seven))large", "(typeof(byte))big", "((typeof(&pages[1]))pages)->flags", "((typeof(*pointer) *)&object)->numbers[1]", "sizeof(typeof(pages))",
}

// TestArithmetic compares with what gcc 12 makes of the same text: the program computes each one and writes the results.
func TestArithmetic(t *testing.T) {
	dir := t.TempDir()
	var inc strings.Builder
	for i, c := range conditions {
		fmt.Fprintf(&inc, "results[%d] = (long)(%s);\n", i, c)
	}
	if err := os.WriteFile(filepath.Join(dir, "conditions.inc"), []byte(inc.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	p := compile(t, "-DCONDITIONS", "-I", dir, "-w")
	out, err := exec.Command(p.path).Output()
	if err != nil || len(out) < 8*len(conditions) {
		t.Fatalf("the program: %v, %d bytes", err, len(out))
	}
	for i, c := range conditions {
		want := int64(binary.LittleEndian.Uint64(out[8*i:]))
		e, err := value.Parse("(long)(" + c + ")")
		if err != nil {
			t.Errorf("%s: %v", c, err)
			continue
		}
		v, err := e.Eval(p)
		if err != nil || v.Text(value.TextOptions{}) != fmt.Sprint(want) {
			t.Errorf("%s: %s, %v; gcc has %d", c, v.Text(value.TextOptions{}), err, want)
		}
	}
}

func TestRefusals(t *testing.T) {
	p := compile(t)
	for _, tc := range []struct{ text, want string }{
		{"", `expression "": column 1: a value is missing before the end`},
		{"page->", `expression "page->": column 7: a member's name is missing after ->`},
		{"page->_refcount)", `expression "page->_refcount)": column 16: ")" is one too many`},
		{"(1 + 2", `expression "(1 + 2": column 7: ) is missing to close the parenthesis`},
		{"1 +", `expression "1 +": column 4: a value is missing before the end`},
		{"a = 1", `expression "a = 1": column 3: "=" is one too many`},
		{"x++", `expression "x++": column 2: ++ would write`},
		{"09", `expression "09": column 1: "09" is no number`},
		{"1 @ 2", `expression "1 @ 2": column 3: '@' means nothing in C`},
		{"'ab'", `expression "'ab'": column 1: "'ab'" is no character`},
		{"'a", `expression "'a": column 1: ' without its end`},
		{"struct page", `expression "struct page": column 1: a type stands where a value should`},
		{"list_empty(1, 2)", `expression "list_empty(1, 2)": column 1: list_empty wants 1 arguments and has 2`},
		{"object.comm[1", `expression "object.comm[1": column 14: ] is missing after the index`},
		{strings.Repeat("(", 300) + "1", `nested deeper than 200`},

		{"nobody", "no variable or symbol nobody"},
		{"object.nobody", "struct object has no member nobody"},
		{"pointer.comm", "pointer is a pointer: write pointer->comm"},
		{"seven.x", "seven: is int, which has no members"},
		{"*seven", "seven is no pointer but int: cast it, as in *(int *)seven"},
		{"*object.error", "object.error points to void: cast it, as in *(int *)object.error"},
		{"gone->flags", "gone: optimized out"},
		{"gone", "gone: optimized out"},
		{"nothing->ready", "nothing->ready: cannot read 0x1e: not mapped"},
		{"callback(pointer, 1)", "callback() is a function: its value is not known"},
		{"object + 1", "object is a whole struct object: name a member"},
		{"&seven + &minus", "&seven + &minus: + does not go with a pointer"},
		{"seven / (seven - 7)", "seven / (seven - 7): a division by zero"},
		{"seven << 32", "seven << 32: a shift by 32 bits"},
		{"&page", "page is not in memory: it has no address"},
		{"&object.in.low", "object.in.low is a bit field: it has no address"},
		{"(struct nobody *)0", "no type struct nobody"},
		{"(struct page)seven", "a cast to struct page is not possible: cast a pointer, as in *(struct page *)&x"},
		{"half + 1", "half is double, which cannot be computed with"},
		{`"text"`, "a string has no value here"},
	} {
		e, err := value.Parse(tc.text)
		if err == nil {
			_, err = e.Eval(p)
		} else if pe := (*value.ParseError)(nil); !errors.As(err, &pe) {
			t.Errorf("%q: %T is no ParseError", tc.text, err)
		}
		if err == nil || !strings.HasSuffix(err.Error(), tc.want) {
			t.Errorf("%q:\n got %v\nwant %s", tc.text, err, tc.want)
		}
	}
}

// TestReads: what an expression reads, in order; ~ marks what only led to another object.
func TestReads(t *testing.T) {
	p := compile(t)
	for _, tc := range []struct{ text, want string }{
		{"atomic_read(&page->_refcount.refs)", "~page=8@reg page->_refcount.refs=4@pages+36"},
		{"page_ref_count(page) == 1 && page->flags & 1", "~page=8@reg page->_refcount=4@pages+36 page->flags=8@pages"},
		{"page_ref_count(page) == 2 && page->flags & 1", "~page=8@reg page->_refcount=4@pages+36"},
		{"compound_head(&pages[1])->flags", "~pages[1].compound_head=8@pages+48 compound_head(&pages[1])->flags=8@pages"},
		{"page_count(page) && PageTail(&pages[1])", "~page=8@reg ~page->compound_head=8@pages+8 compound_head(page)->_refcount=4@pages+36 " +
			"pages[1].compound_head=8@pages+48"},
		{"list_empty(&object.list)", "object.list.next=8@object+192"},
		{"page", "page=8@reg"},
		{"page[seven - 6].flags", "~page=8@reg ~seven=4@seven page[seven - 6].flags=8@pages+40"},
		{"gone->flags || page->flags", "~gone=8@optimized out ~page=8@reg page->flags=8@pages"},
		{"callback(pointer->page, 3) > minus", "~pointer=8@pointer pointer->page=8@object+40 " +
			"callback(pointer->page, 3)=0@cannot call a function minus=4@minus"},
		{"object.in.wide > object.in.low", "object.in.wide=6@object+66 object.in.low=1@object+64"},
		{"nothing->ready", "~nothing=8@nothing nothing->ready=1@cannot read 0x1e: not mapped"},
		{"sizeof(pointer->page->flags) + GREEN", ""},
		{"object", "object=216@object"},
	} {
		e, err := value.Parse(tc.text)
		if err != nil {
			t.Error(err)
			continue
		}
		var got []string
		for _, r := range e.Reads(p) {
			at := "reg"
			if r.Value.HasAddr {
				at = p.name(r.Value.Addr)
			}
			if r.Value.Err != nil {
				at = r.Value.Err.Error()
			}
			s := fmt.Sprintf("%s=%d@%s", r.Text, r.Value.Size(), at)
			if r.Through {
				s = "~" + s
			}
			got = append(got, s)
		}
		if g := strings.Join(got, " "); g != tc.want {
			t.Errorf("%s:\n got %s\nwant %s", tc.text, g, tc.want)
		}
	}
}

// TestWith expands macros as the preprocessor does: here those around the assertion of kernels/patches/pgflags-refcount, cut down.
func TestWith(t *testing.T) {
	p := compile(t)
	macros := map[string]value.Macro{
		"policy":            {Body: "PF_NO_TAIL"},
		"PF_POISONED_CHECK": {Function: true, Params: []string{"page"}, Body: "({ VM_BUG_ON_PGFLAGS(PagePoisoned(page), page); page; })"},
		"PF_NO_TAIL": {Function: true, Params: []string{"page", "enforce"},
			Body: "({ VM_BUG_ON_PGFLAGS(enforce && PageTail(page), page); PF_POISONED_CHECK(compound_head(page)); })"},
		"JOIN":  {Function: true, Params: []string{"a", "b"}, Body: "a ## b"},
		"self":  {Body: "self + 1"},
		"self1": {Body: "(&pages[1])"},
	}
	with := func(name string) (value.Macro, bool) { m, ok := macros[name]; return m, ok }
	for text, want := range map[string]string{
		"atomic_read(&policy(page, 1)->_refcount.refs)":        "1",
		"atomic_read(&policy((&pages[1]), 1)->_refcount.refs)": "1", // the head's
		"JOIN(se, ven) + JOIN(, 1)":                            "8",
		"JOIN(self, 1)->flags":                                 "3",
		"self":                                                 "no variable or symbol self",
	} {
		e, err := value.ParseWith(text, with)
		got := fmt.Sprint(err)
		if err == nil {
			var v value.Value
			if v, err = e.Eval(p); err == nil {
				got = v.Text(value.TextOptions{})
			} else {
				got = err.Error()
			}
		}
		if got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

// TestOfCPU: what the kernel asks its vCPU, with a scope's __preempt_count and __rflags: in a soft interrupt, interrupts off. The values are
// those of include/linux/preempt.h's comment: SOFTIRQ_OFFSET 0x100, HARDIRQ_OFFSET 0x10000, NMI_OFFSET 0x100000.
func TestOfCPU(t *testing.T) {
	p := compile(t)
	for _, tc := range []struct {
		count byte // shifted by 8 bits
		text  string
		want  string
	}{
		{0x01, "in_serving_softirq()", "256"}, {0x01, "in_task()", "0"}, {0x02, "in_task()", "1"}, {0x02, "in_softirq()", "512"},
		{0x02, "in_interrupt()", "512"}, {0x00, "in_interrupt()", "0"}, {0x00, "in_atomic()", "0"}, {0x01, "in_atomic()", "1"},
		{0x00, "preempt_count()", "0"}, {0x00, "irqs_disabled()", "1"},
	} {
		p.variables["__preempt_count"] = value.Value{Type: p.variables["seven"].Type, Bytes: []byte{0, tc.count, 0, 0x80}}
		p.variables["__rflags"] = value.Value{Type: p.variables["large"].Type, Bytes: []byte{0x46, 0, 0, 0, 0, 0, 0, 0}}
		e, err := value.Parse(tc.text)
		if err != nil {
			t.Fatal(err)
		}
		if v, err := e.Eval(p); err != nil || v.Text(value.TextOptions{}) != tc.want {
			t.Errorf("%s with 0x%x: %s, %v", tc.text, int(tc.count)<<8, v.Text(value.TextOptions{}), err)
		}
	}
}

func FuzzExpression(f *testing.F) {
	for _, c := range conditions {
		f.Add(c)
	}
	f.Add("atomic_read(&compound_head(page)->_refcount) && list_empty(&a->b) || ({ a; b; })")
	p := compile(f)
	f.Fuzz(func(t *testing.T, text string) {
		e, err := value.Parse(text)
		if err != nil {
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("an error of two lines: %q", err)
			}
			return
		}
		if v, err := e.Eval(p); err == nil && v.Type == nil {
			t.Errorf("%q: a value without type", text)
		}
		e.Reads(p)
	})
}
