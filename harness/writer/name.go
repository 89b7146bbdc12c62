package writer

import (
	"slices"
	"strings"

	"kcatch/harness/verdict"
)

// helpers write what their callers say: arch/x86/lib/{memset,memcpy,memmove,clear_page,copy_page}_64.S, lib/string.c, lib/bitmap.c. By
// their whole names, because clear_page_dirty_for_io() and copy_page_range() are writers that one asks for.
var helpers = strings.Fields(`memset memset16 memset32 memset64 memcpy memmove clear_page copy_page strcpy strncpy strscpy strscpy_pad
	sized_strscpy strlcpy strcat strncat strlcat set_bit clear_bit change_bit
	bitmap_set bitmap_clear bitmap_fill bitmap_zero bitmap_copy bitmap_copy_clear_tail bitmap_complement bitmap_and bitmap_or bitmap_xor
	bitmap_andnot bitmap_replace bitmap_cut bitmap_shift_left bitmap_shift_right bitmap_remap bitmap_from_arr32 bitmap_from_arr64`)

// variants are the endings of the names of a helper's forms for one CPU or another.
var variants = []string{"_orig", "_erms", "_rep", "_array"}

// Name is the frame that a person would say wrote it: the innermost that is neither inlined from a header, as atomic_set() is, nor
// a helper like memset(). It is nil for an empty chain.
func Name(frames []verdict.Frame) *verdict.Frame {
	for i := range frames {
		f := &frames[i]
		if f.Function == "" || f.Inline && strings.HasSuffix(f.File, ".h") || helper(f.Function) {
			continue
		}
		return f
	}
	if len(frames) == 0 {
		return nil
	}
	return &frames[0]
}

func helper(function string) bool {
	name, _, _ := strings.Cut(strings.TrimPrefix(function, "__"), ".") // memcpy.constprop.0
	for _, v := range variants {
		if base, is := strings.CutSuffix(name, v); is {
			name = base
			break
		}
	}
	return slices.Contains(helpers, name)
}
