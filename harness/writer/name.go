package writer

import (
	"strings"

	"kcatch/harness/verdict"
)

// helpers write what their callers say: arch/x86/lib/{memset,memcpy,memmove,clear_page,copy_page}_64.S, lib/string.c. Prefixes.
var helpers = []string{"memset", "__memset", "memcpy", "__memcpy", "memmove", "__memmove", "clear_page", "copy_page", "strcpy",
	"strncpy", "strscpy", "strlcpy", "bitmap_", "__bitmap_", "__set_bit", "set_bit", "clear_bit", "__clear_bit"}

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
	for _, h := range helpers {
		if strings.HasPrefix(function, h) {
			return true
		}
	}
	return false
}
