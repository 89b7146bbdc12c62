package tui

// Key is a key by name: the character it writes, or "up", "ctrl-x" and the like.
type Key string

// binding is what a key does, and how the help has it.
type binding struct {
	keys []Key
	help string
	do   func(Model) Model
}

// prefix begins a key of two strokes, as gdb's TUI has them.
const prefix Key = "ctrl-x"

// bindings are the keys of one stroke. The help is made of them.
func bindings() []binding {
	return []binding{
		{[]Key{"u"}, "frame up: to the caller", func(m Model) Model { return m.pick(m.frame + 1) }},
		{[]Key{"d"}, "frame down: to what was called", func(m Model) Model { return m.pick(m.frame - 1) }},
		{[]Key{"."}, "to the frame of the cause", Model.toCause},
		{[]Key{"]", "t"}, "next thread: vCPU, task, writer, warning", func(m Model) Model { return m.thread(1) }},
		{[]Key{"[", "T"}, "thread before", func(m Model) Model { return m.thread(-1) }},
		{[]Key{"tab", "o"}, "next window", func(m Model) Model { return m.next(1) }},
		{[]Key{"backtab"}, "window before", func(m Model) Model { return m.next(-1) }},
		{[]Key{"s"}, "source", func(m Model) Model { return m.show(paneSource) }},
		{[]Key{"w"}, "frames (where)", func(m Model) Model { return m.show(paneFrames) }},
		{[]Key{"v"}, "values (info locals)", func(m Model) Model { return m.show(paneValues) }},
		{[]Key{"r"}, "registers", func(m Model) Model { return m.show(paneRegisters) }},
		{[]Key{"l"}, "log", func(m Model) Model { return m.show(paneLog) }},
		{[]Key{"!"}, "warnings", func(m Model) Model { return m.show(paneWarnings) }},
		{[]Key{"i"}, "the whole report", func(m Model) Model { return m.show(paneReport) }},
		{[]Key{"up", "k"}, "scroll; in frames: the frame above", func(m Model) Model { return m.line(-1) }},
		{[]Key{"down", "j"}, "scroll; in frames: the frame below", func(m Model) Model { return m.line(1) }},
		{[]Key{"pgup", "ctrl-b"}, "a page up", func(m Model) Model { return m.page(-1) }},
		{[]Key{"pgdn", "ctrl-f", " "}, "a page down", func(m Model) Model { return m.page(1) }},
		{[]Key{"home", "g"}, "to the beginning", func(m Model) Model { return m.scrollTo(0) }},
		{[]Key{"end", "G"}, "to the end", func(m Model) Model { return m.scrollTo(1 << 30) }},
		{[]Key{"left"}, "to the left", func(m Model) Model { return m.sideways(-sidestep) }},
		{[]Key{"right"}, "to the right", func(m Model) Model { return m.sideways(sidestep) }},
		{[]Key{"/"}, "search in this window", Model.ask},
		{[]Key{"n"}, "the next that is found", func(m Model) Model { return m.find(1) }},
		{[]Key{"N"}, "the one before", func(m Model) Model { return m.find(-1) }},
		{[]Key{"z"}, "one window, or all", func(m Model) Model { m.zoomed = !m.zoomed; return m }},
		{[]Key{"x"}, "gdb on the machine, where one stands", Model.askGdb},
		{[]Key{"ctrl-l"}, "draw anew", func(m Model) Model { return m }},
		{[]Key{"?", "h", "f1"}, "this help", func(m Model) Model { m.help = true; return m }},
		{[]Key{"q", "ctrl-c", "ctrl-d"}, "leave", Model.leave},
	}
}

// prefixed are the second strokes after ctrl-x. Source: GDB manual, "TUI Key Bindings".
func prefixed() []binding {
	return []binding{
		{[]Key{"o"}, "next window", func(m Model) Model { return m.next(1) }},
		{[]Key{"1"}, "one window", func(m Model) Model { m.zoomed = true; return m }},
		{[]Key{"2"}, "all windows", func(m Model) Model { m.zoomed = false; return m }},
		{[]Key{"a", "A", "ctrl-a"}, "leave", Model.leave},
	}
}

// Press is the model after a key. A key that means nothing changes nothing.
func (m Model) Press(key Key) Model {
	if m.asking {
		return m.typed(key)
	}
	if m.help { // any key takes it away; those that leave do so
		m.help = false
		if key != "q" && key != "ctrl-c" {
			return m
		}
	}
	list := bindings()
	if m.prefixed {
		m.prefixed, list = false, prefixed()
	} else if key == prefix {
		m.prefixed = true
		return m
	}
	m.said = ""
	for _, b := range list {
		for _, k := range b.keys {
			if k == key {
				return b.do(m)
			}
		}
	}
	return m
}

// helpLines is the help, from the same tables.
func helpLines() []Line {
	out := []Line{plain("The keys, as in gdb's TUI (single key mode). Any key goes back.", Strong), nil}
	for _, b := range bindings() {
		out = append(out, Line{{pad("  "+keyNames("", b.keys), 20), Strong}, {b.help, Plain}})
	}
	for _, b := range prefixed() {
		out = append(out, Line{{pad("  "+keyNames("ctrl-x ", b.keys[:1]), 20), Strong}, {b.help, Plain}})
	}
	return out
}

func keyNames(before string, keys []Key) string {
	out := ""
	for i, k := range keys {
		if i > 0 {
			out += " "
		}
		if k == " " {
			k = "space"
		}
		out += before + string(k)
	}
	return out
}
