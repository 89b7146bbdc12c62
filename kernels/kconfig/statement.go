package kconfig

// statement takes one line of a Kconfig file, already split. "source" and "help" are the file reader's.
func (r *reader) statement(toks []token) {
	first, args := toks[0], toks[1:]
	if first.kind == macro {
		return // $(error-if,...) and the like: nothing that a dependency could need
	}
	if len(args) > 0 && args[0].kind == operator && (args[0].text == "=" || args[0].text == ":=" || args[0].text == "+=") {
		return // a macro's definition: name = ..., name := ..., name += ...
	}
	if first.kind != word {
		r.note("%q begins no statement", clip(first.text))
		return
	}
	switch first.text {
	case "config", "menuconfig":
		r.config(args)
	case "choice", "menu", "if":
		r.openBlock(first.text, args)
	case "endchoice", "endmenu", "endif":
		if r.block.kind != first.text[3:] || r.block.file != r.name {
			r.note("%s without its %s", first.text, first.text[3:])
			return
		}
		r.close()
	case "mainmenu", "comment":
		r.entry, r.open = nil, nil
	default:
		r.attribute(first.text, args)
	}
}

func (r *reader) config(args []token) {
	r.entry, r.open = nil, nil
	if len(args) == 0 || args[0].kind != word || !isSymbol(args[0].text) {
		r.note("config without a symbol")
		return
	}
	name := args[0].text
	s := r.tree.symbols[name]
	if s == nil {
		s = &symbol{name: name}
		r.tree.symbols[name] = s
		r.tree.order = append(r.tree.order, name)
	}
	r.entry = &definition{symbol: s, file: r.name, line: r.line, block: r.block}
	s.definitions = append(s.definitions, r.entry)
	if c := r.block.choice(); c != nil {
		c.members = append(c.members, r.entry)
	}
}

func (r *reader) openBlock(kind string, args []token) {
	r.entry, r.open = nil, nil
	if r.depth >= maxBlocks {
		r.note("blocks nested deeper than %d", maxBlocks)
		return
	}
	b := &block{parent: r.block, kind: kind, file: r.name}
	if kind == "if" {
		if e := r.expr(args); e != nil {
			b.depends = append(b.depends, e)
		}
	} else {
		r.open = b
	}
	r.block = b
	r.depth++
}

func (r *reader) close() {
	r.entry, r.open = nil, nil
	r.block = r.block.parent
	r.depth--
}

// choice returns the innermost choice that b is or lies in, or nil.
func (b *block) choice() *block {
	for ; b != nil; b = b.parent {
		if b.kind == "choice" {
			return b
		}
	}
	return nil
}

// attribute takes a line inside config, menu or choice.
func (r *reader) attribute(keyword string, args []token) {
	switch keyword {
	case "bool", "tristate", "string", "int", "hex":
		r.setType(keyword)
		if len(args) > 0 {
			r.prompt(args)
		}
	case "boolean": // until Linux 3.19
		r.attribute("bool", args)
	case "def_bool", "def_tristate":
		r.setType(keyword[len("def_"):])
		r.value(args)
	case "prompt":
		r.prompt(args)
	case "default":
		r.value(args)
	case "range":
		r.valueRange(args)
	case "depends":
		if len(args) > 0 && args[0].text == "on" {
			r.depends(args[1:])
		} else {
			r.note("depends without on")
		}
	case "visible":
		if r.open != nil && len(args) > 0 && args[0].text == "if" {
			if e := r.expr(args[1:]); e != nil {
				r.open.visible = append(r.open.visible, e)
			}
		}
	case "select", "imply":
		r.selects(keyword == "imply", args)
	case "optional", "modules", "option", "transitional":
	default:
		r.note("%q is no keyword", clip(keyword))
	}
}

func (r *reader) setType(typ string) {
	if r.entry != nil && r.entry.symbol.typ == "" {
		r.entry.symbol.typ = typ
	}
}

// expr takes a whole expression; nil when it is not understood.
func (r *reader) expr(args []token) *expr {
	e, rest, err := parseExpr(args)
	if err != nil {
		r.note("%v", err)
		return nil
	}
	if len(rest) > 0 {
		r.note("%q after an expression", clip(rest[0].text))
	}
	return e
}

// condition takes "if EXPR" or nothing. Without one it is nil, which is y.
func (r *reader) condition(args []token) *expr {
	if len(args) == 0 {
		return nil
	}
	if args[0].kind != word || args[0].text != "if" {
		r.note("%q where only an if can stand", clip(args[0].text))
		return nil
	}
	return r.expr(args[1:])
}

func (r *reader) prompt(args []token) {
	if len(args) == 0 {
		return
	}
	p := prompt{text: args[0].text, cond: r.condition(args[1:])}
	switch {
	case r.entry != nil:
		r.entry.prompts = append(r.entry.prompts, p)
	case r.open != nil:
		r.open.prompts = append(r.open.prompts, p)
	}
}

// depends takes the expression after "depends on". With a condition, "depends on A if B", it holds when B is n.
func (r *reader) depends(args []token) {
	e, rest, err := parseExpr(args)
	if err != nil {
		r.note("%v", err)
		return
	}
	if cond := r.condition(rest); cond != nil {
		e = &expr{op: opOr, left: &expr{op: opNot, left: cond}, right: e}
	}
	switch {
	case r.entry != nil:
		r.entry.depends = append(r.entry.depends, e)
	case r.open != nil:
		r.open.depends = append(r.open.depends, e)
	}
}

func (r *reader) value(args []token) {
	e, rest, err := parseExpr(args)
	if err != nil {
		r.note("%v", err)
		return
	}
	if r.entry != nil {
		r.entry.defaults = append(r.entry.defaults, setting{value: e, cond: r.condition(rest)})
	}
}

func (r *reader) valueRange(args []token) {
	p := exprParser{toks: args}
	low, err := p.operand()
	if err != nil {
		r.note("%v", err)
		return
	}
	high, err := p.operand()
	if err != nil {
		r.note("%v", err)
		return
	}
	if r.entry != nil {
		r.entry.ranges = append(r.entry.ranges, setting{value: low, upper: high, cond: r.condition(p.toks)})
	}
}

func (r *reader) selects(imply bool, args []token) {
	if r.entry == nil || len(args) == 0 || args[0].kind != word {
		return
	}
	name := args[0].text
	r.tree.selectors[name] = append(r.tree.selectors[name],
		selection{from: r.entry, cond: r.condition(args[1:]), imply: imply})
}
