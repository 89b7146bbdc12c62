package survey

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"kcatch/gdb/kernel"
	"kcatch/gdb/vmlinux"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
)

// warning is the name of the point at which every WARN is seen: the entry of __warn() (kernel/panic.c).
const warning = "WARN"

// Break is a place of the source, as --break names it.
type Break struct {
	Text     string
	Function string // a function, or
	File     string // a file of the tree, or the end of its name,
	Line     int    // with a line, 1-based
}

// maxLine is above the longest file of a kernel.
const maxLine = 1 << 24

// ParseBreak reads FUNCTION or FILE:LINE.
func ParseBreak(text string) (Break, error) {
	b := Break{Text: text}
	file, line, isLine := cutLast(text, ":")
	if !isLine {
		b.Function = text
		if !isName(text) {
			return b, refuse(text, "is no function and no FILE:LINE", "write it as --break vfs_read or --break mm/page_alloc.c:6958")
		}
		return b, nil
	}
	n, err := strconv.Atoi(line)
	file = strings.TrimPrefix(file, "./")
	if err != nil || n < 1 || n > maxLine || file == "" {
		return b, refuse(text, "has no line after the colon", "write it as --break mm/page_alloc.c:6958")
	}
	b.File, b.Line = file, n
	return b, nil
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// isName reports whether s can be the name of a function.
func isName(s string) bool {
	for i, c := range []byte(s) {
		letter := c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return s != "" && len(s) < 512
}

// maxAddresses bounds the breakpoints of one --break. TCG looks through the list of all of them each time that it looks up
// a block of code.
const maxAddresses = 1024

// Addresses are the instructions of a break in a kernel.
func (b Break) Addresses(k *kernel.Kernel) (at []vmlinux.Addr, err error) {
	if b.Function != "" {
		at, err = b.function(k)
	} else {
		at, err = b.line(k)
	}
	if err == nil && len(at) > maxAddresses {
		err = refuse(b.Text, fmt.Sprintf("is in %d places of the code, and %d are the most", len(at), maxAddresses),
			"break at one of its callers, or at a line of one")
	}
	return at, err
}

func (b Break) function(k *kernel.Kernel) (at []vmlinux.Addr, err error) {
	instances, err := k.Instances(b.Function)
	if err != nil && len(instances) == 0 {
		return nil, &blame.Error{Kind: blame.Usage, Msg: "--break " + b.Text + ": " + err.Error(), Err: err}
	}
	for _, i := range instances {
		at = append(at, i.Addr)
	}
	if len(at) > 0 {
		return at, nil
	}
	if _, ok := k.Symbol(b.Function); ok {
		return nil, refuse(b.Text, "is no code", "name a function, or FILE:LINE")
	}
	hint := "nm lists those with code of their own; a macro is none"
	if near := k.Meant(b.Function); near != "" {
		hint = "did you mean " + near + "?"
	}
	return nil, refuse(b.Text, k.Path()+" has no such function", hint)
}

func (b Break) line(k *kernel.Kernel) ([]vmlinux.Addr, error) {
	found, err := k.LineCode(b.File, b.Line)
	switch {
	case err != nil && len(found.Code) == 0:
		return nil, &blame.Error{Kind: blame.Usage, Msg: "--break " + b.Text + ": " + err.Error(), Hint: blame.Hint(err), Err: err}
	case len(found.Files) == 0:
		return nil, refuse(b.Text, "no code of "+k.Path()+" comes from such a file", "name it as the tree has it: mm/page_alloc.c")
	case len(found.Code) > 0:
		return found.Code, nil
	}
	var near []string
	for _, n := range []int{found.Before, found.After} {
		if n > 0 {
			near = append(near, fmt.Sprintf("%s:%d", found.Files[0], n))
		}
	}
	return nil, refuse(b.Text, "the line has no code", "the nearest lines with code are "+strings.Join(near, " and "))
}

func refuse(text, cause, hint string) error {
	if len(text) > 80 {
		text = text[:80] + "..."
	}
	return blame.New(blame.Usage, "--break "+text+": "+cause, hint)
}

// frame is the index of the frame of a chain that a break stands for. At the entry of an inlined copy the innermost frame may be
// of a function that is inlined into it in turn.
func (b Break) frame(frames []verdict.Frame) int {
	own := frames[:owned(frames)]
	at := slices.IndexFunc(own, func(f verdict.Frame) bool {
		if b.Function != "" {
			return f.Function == b.Function
		}
		return f.Line == b.Line && b.in(f)
	})
	if at < 0 && b.Function == "" { // the line table has another line at this address, too
		at = slices.IndexFunc(own, b.in)
	}
	return max(at, 0)
}

// in reports whether a frame's line is of the break's file.
func (b Break) in(f verdict.Frame) bool { return strings.HasSuffix("/"+f.File, "/"+b.File) }

// owned is how many frames there are up to and including the first that owns its code.
func owned(frames []verdict.Frame) int {
	for i := range frames {
		if !frames[i].Inline {
			return i + 1
		}
	}
	return len(frames)
}
