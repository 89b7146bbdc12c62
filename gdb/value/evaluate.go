package value

import (
	"debug/dwarf"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

// maxSteps bounds the work for one expression, and maxReads what is kept of it.
const (
	maxSteps = 1 << 16
	maxReads = 64
)

var errTooLong = errors.New("too long to evaluate")

type evaluator struct {
	scope   Scope
	steps   int
	sizing  bool // inside sizeof: only types count, nothing is read
	through bool // what is read now serves to find another object
	collect bool // keep reads, and go on after an error
	reads   []Read
}

// operand is what a node stands for: an object, in memory (atAddr) or in bytes that are known, or a number.
type operand struct {
	Value
	node   *node
	lvalue bool // an object; else a number or a pointer that was computed
}

func (e *evaluator) eval(n *node) (operand, error) {
	if e.steps++; e.steps > maxSteps {
		return operand{}, errTooLong
	}
	o, err := e.node(n)
	o.node = n
	return o, err
}

func (e *evaluator) node(n *node) (operand, error) {
	switch n.op {
	case opName:
		return e.variable(n)
	case opNumber:
		return scalar(basic(n.typ.base), n.num), nil
	case opString:
		return operand{}, errors.New("a string has no value here")
	case opDeref:
		p, err := e.address(n.kids[0])
		if err != nil {
			return operand{}, err
		}
		return e.at(n, p, p.bits64())
	case opAddr:
		o, err := e.eval(n.kids[0])
		if err != nil {
			return operand{}, err
		}
		if _, ok := Resolve(o.Type).(*dwarf.FuncType); !ok && (!o.lvalue || !o.HasAddr) {
			if o.Err != nil {
				return operand{}, fmt.Errorf("&%s: %w", n.kids[0].render(levelUnary), o.Err)
			}
			return operand{}, fmt.Errorf("%s is not in memory: it has no address", n.kids[0])
		}
		if o.BitSize > 0 {
			return operand{}, fmt.Errorf("%s is a bit field: it has no address", n.kids[0])
		}
		return scalar(pointerTo(o.Type), o.Addr), nil
	case opMember:
		return e.memberOf(n)
	case opIndex:
		return e.index(n)
	case opUnary:
		return e.unary(n)
	case opBinary:
		return e.binary(n)
	case opCond:
		return e.cond(n)
	case opCast:
		return e.cast(n)
	case opSizeof:
		return e.sizeof(n)
	case opCall:
		if n.text == compoundHead && len(n.kids) == 1 {
			return e.head(n)
		}
		if e.collect {
			for _, k := range n.kids {
				_, _ = e.rvalue(k)
			}
			e.read(operand{node: n}, Value{Err: ErrFunction}, e.through)
		}
		return operand{}, fmt.Errorf("%s() is a function: its value is not known", n.text)
	}
	return operand{}, errors.New("not understood")
}

// head is the first page of the compound page that a page belongs to, the page itself of one that is by itself: a tail page's member
// compound_head is its head's address + 1 (include/linux/page-flags.h). A page of hugetlb that shares its struct pages is not told apart.
func (e *evaluator) head(n *node) (operand, error) {
	page, err := e.address(n.kids[0])
	if err != nil {
		return operand{}, err
	}
	if _, ok := pointer(page.Type); !ok {
		return operand{}, fmt.Errorf("%s is no pointer", n.kids[0])
	}
	word, err := e.address(&node{op: opMember, text: "compound_head", kids: []*node{deref(n.kids[0])}, col: n.col})
	if err != nil {
		return operand{}, err
	}
	at := page.bits64()
	if w := word.bits64(); w&1 != 0 {
		at = w - 1
	}
	return scalar(page.Type, at), nil
}

func (e *evaluator) variable(n *node) (operand, error) {
	v, ok, err := e.scope.Variable(n.text)
	if err != nil {
		return operand{}, fmt.Errorf("%s: %w", n.text, err)
	}
	if !ok {
		return operand{}, fmt.Errorf("no variable or symbol %s", n.text)
	}
	if v.Err != nil && !v.HasAddr {
		if e.sizing && v.Type != nil {
			v.Err = nil
		} else {
			e.read(operand{Value: v, node: n}, v, e.through)
			return operand{}, fmt.Errorf("%s: %w", n.text, v.Err)
		}
	}
	if enum, ok := Resolve(v.Type).(*dwarf.EnumType); ok && !v.HasAddr {
		if i := slices.IndexFunc(enum.Val, func(c *dwarf.EnumValue) bool { return c.Name == n.text }); i >= 0 {
			return operand{Value: v}, nil
		}
	}
	return operand{Value: v, lvalue: true}, nil
}

// at is the object that a pointer points to.
func (e *evaluator) at(n *node, p operand, addr uint64) (operand, error) {
	switch t := Resolve(p.Type).(type) {
	case *dwarf.PtrType:
		if Resolve(t.Type) == nil {
			return operand{}, fmt.Errorf("%s points to void: cast it, as in *(int *)%s", n.kids[0], n.kids[0].render(levelUnary))
		}
		return operand{Value: Value{Type: t.Type, Addr: addr, HasAddr: true}, lvalue: true}, nil
	case *dwarf.FuncType: // *f is f
		return p, nil
	}
	return operand{}, fmt.Errorf("%s is no pointer but %s: cast it, as in *(int *)%s",
		n.kids[0], TypeName(p.Type), n.kids[0].render(levelUnary))
}

// address evaluates a node whose value finds another object.
func (e *evaluator) address(n *node) (operand, error) {
	was := e.through
	e.through = true
	o, err := e.rvalue(n)
	e.through = was
	return o, err
}

func (e *evaluator) memberOf(n *node) (operand, error) {
	o, err := e.eval(n.kids[0])
	if err != nil {
		return operand{}, err
	}
	t, err := e.structure(o.Type)
	if err != nil {
		if p, ok := Resolve(o.Type).(*dwarf.PtrType); ok {
			if _, ok := Resolve(p.Type).(*dwarf.StructType); ok {
				return operand{}, fmt.Errorf("%s is a pointer: write %s->%s", n.kids[0], n.kids[0].render(levelPostfix), n.text)
			}
		}
		return operand{}, fmt.Errorf("%s: %w", n.kids[0], err)
	}
	f, off, ok := e.findMember(t, n.text, 0)
	if e.steps > maxSteps {
		return operand{}, errTooLong
	}
	if !ok {
		return operand{}, fmt.Errorf("%s has no member %s", TypeName(t), n.text)
	}
	if o.HasAddr {
		at, bit := place(f)
		v := Value{Type: f.Type, HasAddr: true, Addr: o.Addr + uint64(off+at), BitOffset: int(bit), BitSize: int(f.BitSize)}
		if bit < 0 {
			return operand{}, fmt.Errorf("%s: a bit field outside of its structure", n)
		}
		return operand{Value: v, lvalue: true}, nil
	}
	v := member(f, from(o.Bytes, off))
	if v.Err == nil && int64(len(v.Bytes)) < v.Size() {
		v.Err = errors.New("not known")
	}
	return operand{Value: v, lvalue: true}, v.Err
}

// structure is the structure or union that a type is, its definition where the unit only declares it.
func (e *evaluator) structure(t dwarf.Type) (*dwarf.StructType, error) {
	s, ok := Resolve(t).(*dwarf.StructType)
	if !ok {
		return nil, fmt.Errorf("is %s, which has no members", TypeName(t))
	}
	if !s.Incomplete {
		return s, nil
	}
	full, err := e.scope.Complete(s)
	if err != nil {
		return nil, err
	}
	if f, ok := Resolve(full).(*dwarf.StructType); ok && !f.Incomplete {
		return f, nil
	}
	return nil, fmt.Errorf("%s is declared and nowhere defined", TypeName(s))
}

// findMember finds a member by name, also in anonymous members; off is where the structure that has it begins. A structure may stand in
// another in many places, and so on: the look at one is a step for each 16 members.
func (e *evaluator) findMember(t *dwarf.StructType, name string, depth int) (f *dwarf.StructField, off int64, ok bool) {
	if e.steps += 1 + len(t.Field)/16; e.steps > maxSteps {
		return nil, 0, false
	}
	for _, f := range t.Field {
		if f.Name == name {
			return f, 0, true
		}
	}
	for _, f := range t.Field {
		if inner, is := Resolve(f.Type).(*dwarf.StructType); is && f.Name == "" && depth < maxNesting {
			if g, off, ok := e.findMember(inner, name, depth+1); ok {
				return g, off + f.ByteOffset, true
			}
		}
	}
	return nil, 0, false
}

func (e *evaluator) index(n *node) (operand, error) {
	base, err := e.eval(n.kids[0])
	if err != nil {
		return operand{}, err
	}
	a, array := Resolve(base.Type).(*dwarf.ArrayType)
	p := base
	if !array {
		was := e.through
		e.through = true
		p, err = e.decay(n.kids[0], base)
		e.through = was
		if err != nil {
			return operand{}, err
		}
	}
	i, err := e.address(n.kids[1])
	if err != nil {
		return operand{}, err
	}
	if !integer(i.Type) {
		return operand{}, fmt.Errorf("%s is no index", n.kids[1])
	}
	if array {
		size := e.size(a.Type)
		off := int64(i.bits64()) * size
		if base.HasAddr {
			return operand{Value: Value{Type: a.Type, Addr: base.Addr + uint64(off), HasAddr: true}, lvalue: true}, nil
		}
		if size <= 0 || off < 0 || off/size != int64(i.bits64()) || off > int64(len(base.Bytes))-size {
			return operand{}, fmt.Errorf("%s is not known", n)
		}
		return operand{Value: Value{Type: a.Type, Bytes: base.Bytes[off : off+size]}, lvalue: true}, nil
	}
	t, ok := Resolve(p.Type).(*dwarf.PtrType)
	if !ok || e.size(t.Type) == 0 {
		return operand{}, fmt.Errorf("%s is %s: it has no elements", n.kids[0], TypeName(p.Type))
	}
	return e.at(n, p, p.bits64()+i.bits64()*uint64(e.size(t.Type)))
}

// size is the size of a type; of void 1, as in GNU C.
func (e *evaluator) size(t dwarf.Type) int64 {
	u := Resolve(t)
	if u == nil {
		return 1
	}
	if s, ok := u.(*dwarf.StructType); ok {
		if full, err := e.structure(s); err == nil {
			return SizeOf(full)
		}
	}
	if a, ok := u.(*dwarf.ArrayType); ok && a.Count > 0 {
		if n := e.size(a.Type); n > 0 && a.Count <= maxSize/n {
			return n * a.Count
		}
	}
	return SizeOf(u)
}

// value is an operand with its bytes read.
func (e *evaluator) value(o operand) Value {
	v := o.Value
	if !v.HasAddr || len(v.Bytes) > 0 || v.Err != nil {
		return v
	}
	if _, ok := Resolve(v.Type).(*dwarf.FuncType); ok {
		return v
	}
	size := v.Size()
	if v.BitSize == 0 {
		size = e.size(v.Type)
	}
	v.Bytes = make([]byte, min(size, maxObject))
	if e.sizing {
		return v
	}
	n, err := e.scope.ReadMemory(v.Bytes, v.Addr)
	if err != nil || n < len(v.Bytes) {
		if err == nil {
			err = fmt.Errorf("only %d of %d bytes", n, len(v.Bytes))
		}
		v.Bytes, v.Err = nil, &ReadError{v.Addr + uint64(max(0, n)), size, err}
	}
	return v
}

// read notes that an object was read.
func (e *evaluator) read(o operand, v Value, through bool) {
	if !e.collect || e.sizing || o.node == nil {
		return
	}
	text := o.node.String()
	for i, r := range e.reads {
		if r.Text == text && r.Value.Addr == v.Addr {
			e.reads[i].Through = r.Through && through
			return
		}
	}
	if len(e.reads) < maxReads {
		e.reads = append(e.reads, Read{text, v, through})
	}
}

// rvalue evaluates a node to a number or a pointer: an array and a function become pointers, a bit field and a bool an integer.
func (e *evaluator) rvalue(n *node) (operand, error) {
	o, err := e.eval(n)
	if err != nil {
		return o, err
	}
	return e.decay(n, o)
}

// decay is rvalue for a node that has been evaluated.
func (e *evaluator) decay(n *node, o operand) (operand, error) {
	switch t := Resolve(o.Type).(type) {
	case *dwarf.ArrayType:
		if !o.HasAddr {
			return operand{}, fmt.Errorf("%s is an array that is not in memory", n)
		}
		return scalar(pointerTo(t.Type), o.Addr), nil
	case *dwarf.FuncType:
		return scalar(pointerTo(t), o.Addr), nil
	case *dwarf.StructType:
		f, ok := wrapped(t)
		if !ok {
			return operand{}, fmt.Errorf("%s is a whole %s: name a member", n, TypeName(o.Type))
		}
		v := e.value(o)
		e.read(o, v, e.through)
		for depth := 0; ok && v.Err == nil && depth < maxNesting; depth++ {
			v = member(f, v.Bytes)
			inner, is := Resolve(v.Type).(*dwarf.StructType)
			if !is {
				break
			}
			f, ok = wrapped(inner)
		}
		return e.loaded(n, v)
	case nil:
		return operand{}, fmt.Errorf("%s has no value: it is void", n)
	}
	v := e.value(o)
	if o.lvalue {
		e.read(o, v, e.through)
	}
	return e.loaded(n, v)
}

// loaded is the number that the bytes of a value say.
func (e *evaluator) loaded(n *node, v Value) (operand, error) {
	if v.Err != nil {
		return operand{}, fmt.Errorf("%s: %w", n, v.Err)
	}
	var bits uint64
	ok := false
	if v.BitSize > 0 {
		bits, ok = v.bits()
	} else {
		bits, ok = uintOf(v.Bytes, SizeOf(v.Type))
	}
	if _, float := Resolve(v.Type).(*dwarf.FloatType); float || !ok {
		return operand{}, fmt.Errorf("%s is %s, which cannot be computed with", n, TypeName(v.Type))
	}
	if v.BitSize > 0 && v.BitSize < 32 && SizeOf(v.Type) <= 4 { // C17 6.3.1.1: int holds all of its values
		return scalar(basic("int"), bits), nil
	}
	return scalar(v.Type, bits), nil
}

func (e *evaluator) sizeof(n *node) (operand, error) {
	was := e.sizing
	e.sizing = true
	defer func() { e.sizing = was }()
	var t dwarf.Type
	if len(n.kids) == 0 {
		var err error
		if t, err = e.named(n.typ); err != nil {
			return operand{}, err
		}
	} else {
		o, err := e.eval(n.kids[0])
		if err != nil {
			return operand{}, err
		}
		if o.BitSize > 0 {
			return operand{}, fmt.Errorf("%s is a bit field: it has no size", n.kids[0])
		}
		t = o.Type
	}
	size := e.size(t)
	if size == 0 {
		if s, ok := Resolve(t).(*dwarf.StructType); ok {
			if _, err := e.structure(s); err != nil {
				return operand{}, err
			}
		}
	}
	return scalar(basic("unsigned long"), uint64(size)), nil
}

// named is the type of a cast or sizeof.
func (e *evaluator) named(n typeName) (dwarf.Type, error) {
	t := basic(n.base)
	switch {
	case n.of != nil:
		was := e.sizing
		e.sizing = true
		o, err := e.eval(n.of)
		e.sizing = was
		if err != nil {
			return nil, err
		}
		t = o.Type
	case t == nil && n.base != "void":
		var err error
		if t, err = e.scope.Type(n.base); err != nil {
			return nil, err
		}
	}
	for range n.stars {
		t = pointerTo(t)
	}
	return t, nil
}

// scalar is a number of a type: its bytes are the type's.
func scalar(t dwarf.Type, bits uint64) operand {
	b := binary.LittleEndian.AppendUint64(nil, bits)
	size := SizeOf(t)
	return operand{Value: Value{Type: t, Bytes: b[:max(1, min(size, 8))]}}
}

// bits64 is a scalar's number, extended to 64 bits as its type has a sign or not.
func (o operand) bits64() uint64 {
	size := int64(len(o.Bytes))
	n, _ := uintOf(o.Bytes, size)
	if Signed(o.Type) {
		return uint64(extend(n, size))
	}
	return n
}
