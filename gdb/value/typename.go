package value

import (
	"debug/dwarf"
	"fmt"
	"slices"
	"strings"
)

// maxTypeNesting bounds walks along types: a hostile file's types may form a ring.
const maxTypeNesting = 64

// TypeName is a type as C declares it without a name: "struct page *", "int (*)(void *)", "char [16]", "const struct
// file_operations *". nil is void.
func TypeName(t dwarf.Type) string { return Declare(t, "") }

// Declare is a declaration of name: "char comm[16]", "void (*func)(struct callback_head *)".
func Declare(t dwarf.Type, name string) string {
	d := declarator{left: maxParameters}
	return fit(d.declare(t, clean(name), maxTypeNesting), maxTypeText)
}

// Bounds on a type's text. A function's parameters may be pointers to functions, whose parameters may be, and so on: 16 of each
// make a text of 16 to the power of the levels.
const (
	maxParameters = 1 << 6  // all together
	maxTypeText   = 1 << 10 // bytes; what is cut ends in "..."
)

// declarator writes one declaration.
type declarator struct {
	left int // parameters that may follow
}

// declare builds a declarator from the inside out: name is what has been declared so far, as C's own grammar does it. A pointer
// to an array or a function needs parentheses around it.
func (d *declarator) declare(t dwarf.Type, name string, left int) string {
	if left--; left < 0 {
		return joinName("...", name)
	}
	switch t := t.(type) {
	case nil:
		return joinName("void", name)
	case *dwarf.VoidType:
		return joinName("void", name)
	case *dwarf.QualType:
		quals, inner := qualifiers(t)
		switch inner := inner.(type) {
		case *dwarf.PtrType: // the pointer is const, not what it points to
			return d.declare(inner, joinName(quals, name), left)
		case *dwarf.ArrayType: // its elements say it too
			return d.declare(inner, name, left)
		}
		return quals + " " + d.declare(inner, name, left)
	case *dwarf.PtrType:
		inner := "*" + name
		if strings.HasPrefix(name, "const") || strings.HasPrefix(name, "volatile") || strings.HasPrefix(name, "restrict") {
			inner = "* " + name
		}
		switch bare(t.Type).(type) {
		case *dwarf.FuncType, *dwarf.ArrayType:
			inner = "(" + inner + ")"
		}
		return d.declare(t.Type, inner, left)
	case *dwarf.ArrayType:
		dimension := "[]"
		if t.Count >= 0 {
			dimension = fmt.Sprintf("[%d]", t.Count)
		}
		if name == "" {
			// "char [16]", and "char [2][16]" for an array of arrays.
			if _, more := t.Type.(*dwarf.ArrayType); !more {
				return joinName(d.declare(t.Type, "", left), dimension)
			}
		}
		return d.declare(t.Type, name+dimension, left)
	case *dwarf.FuncType:
		params := make([]string, 0, len(t.ParamType))
		for i, p := range t.ParamType {
			if d.left--; i == 16 || d.left < 0 {
				params = append(params, "...")
				break
			}
			if _, ok := p.(*dwarf.DotDotDotType); ok {
				params = append(params, "...")
			} else {
				params = append(params, d.declare(p, "", left-8))
			}
		}
		if len(params) == 0 {
			params = []string{"void"}
		}
		suffix := "(" + strings.Join(params, ", ") + ")"
		if name == "" {
			return joinName(d.declare(t.ReturnType, "", left), suffix)
		}
		return d.declare(t.ReturnType, name+suffix, left)
	case *dwarf.StructType:
		return joinName(tagged(t.Kind, t.StructName), name)
	case *dwarf.EnumType:
		return joinName(tagged("enum", t.EnumName), name)
	case *dwarf.TypedefType:
		return joinName(clean(t.Name), name)
	}
	base := t.Common().Name
	if c, ok := gccNames[base]; ok {
		base = c
	}
	return joinName(clean(base), name)
}

// gccNames are gcc's names of C's own types, which are not how people write them.
var gccNames = map[string]string{"short int": "short", "short unsigned int": "unsigned short", "long int": "long",
	"long unsigned int": "unsigned long", "long long int": "long long", "long long unsigned int": "unsigned long long", "_Bool": "bool"}

// qualifiers are all that stand around a type, in the order that people write: "const volatile".
func qualifiers(t dwarf.Type) (string, dwarf.Type) {
	var quals []string
	for range maxTypeNesting {
		q, ok := t.(*dwarf.QualType)
		if !ok {
			break
		}
		if word := clean(q.Qual); !slices.Contains(quals, word) {
			quals = append(quals, word)
		}
		t = q.Type
	}
	slices.Sort(quals)
	return strings.Join(quals, " "), t
}

// bare takes qualifiers off, but no typedef.
func bare(t dwarf.Type) dwarf.Type {
	for range maxTypeNesting {
		q, ok := t.(*dwarf.QualType)
		if !ok {
			return t
		}
		t = q.Type
	}
	return nil
}

func tagged(kind, name string) string {
	if name == "" {
		return kind + " {...}"
	}
	return kind + " " + clean(name)
}

func joinName(t, name string) string {
	if name == "" {
		return t
	}
	return t + " " + name
}

// clean makes a name that a file or a guest gives safe to show. Names of C have no need for it.
func clean(s string) string {
	const longest = 256
	if len(s) > longest {
		s = s[:longest] + "..."
	}
	return strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
}

// Resolve takes typedefs and qualifiers off: what is left says how the bytes are read. nil is void.
func Resolve(t dwarf.Type) dwarf.Type {
	for range maxTypeNesting {
		switch u := t.(type) {
		case *dwarf.TypedefType:
			t = u.Type
		case *dwarf.QualType:
			t = u.Type
		case *dwarf.VoidType:
			return nil
		default:
			return t
		}
	}
	return nil
}

// SizeOf is the size of a type in bytes; 0 for void, a function, a structure that is only declared, and an array without
// a bound.
func SizeOf(t dwarf.Type) int64 { return sizeOf(t, maxTypeNesting) }

func sizeOf(t dwarf.Type, left int) int64 {
	if left--; left < 0 {
		return 0
	}
	switch t := Resolve(t).(type) {
	case nil, *dwarf.FuncType:
		return 0
	case *dwarf.ArrayType:
		size, n := sizeOf(t.Type, left), t.Count
		if n <= 0 || size <= 0 || n > maxSize/size {
			return 0
		}
		return size * n
	case *dwarf.PtrType:
		return 8
	default:
		return max(0, min(t.Common().ByteSize, maxSize))
	}
}

// maxSize bounds what a type may say of its size, so that sums of sizes do not overflow.
const maxSize = 1 << 40
