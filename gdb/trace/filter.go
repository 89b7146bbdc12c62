package trace

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"slices"

	"kcatch/gdb/unwind"
)

// Filter copies the text of a console and adds what is known of its places. Set Symbols, or Open.
type Filter struct {
	// Symbols serves for the whole text, whatever kernel it says it is from.
	Symbols Symbols
	// Open gives the files of a kernel that the text tells of, once for each. An error is kept in Stats, and the places of that
	// kernel stay as they are. It is called with an empty Identity where the text does not tell one.
	Open func(Identity) (Symbols, error)
	// Slide is how far KASLR moved the kernel, where that is known beforehand. Only addresses need it.
	Slide *uint64
	// Each is called for every place, in the order of the text. It may be nil.
	Each func(Found)
}

// Found is a place of the text with its answer.
type Found struct {
	Line  int // of the text, from 1
	Text  string
	Place Place
	// Addr is the run-time address, where it is known; else the link-time one; else, in a module, 0.
	Addr   uint64
	Answer Answer
}

// Stats is what there was in a text.
type Stats struct {
	Lines     int
	Places    int
	Located   int        // places that got a line
	Ambiguous int        // places that may be several
	Foreign   int        // places in functions that the kernel's file does not have: it may be of another build
	Kernels   []Identity // that the text says it is from, the first 16
	Errors    []error    // of Open, the first 16
}

// The bounds of what is kept. An oops has 60 lines, and a panic with the backtraces of many CPUs says at its end where the
// kernel was.
const (
	maxHeld      = 500       // lines that wait
	maxHeldBytes = 256 << 10 // and their bytes
	maxKernels   = 16
	maxCached    = 1 << 15 // answers
	readAhead    = 1 << 20 // bytes of text that are looked through for places beforehand
	maxPrepared  = 4096    // places there
)

// Copy reads in to its end and writes it to out, which may be nil. Lines that wait for nothing are written as soon as in has no
// more bytes ready. Errors are those of in and out.
func (f *Filter) Copy(out io.Writer, in io.Reader) (Stats, error) {
	if out == nil {
		out = io.Discard
	}
	r := bufio.NewReaderSize(in, readAhead)
	c := &copying{Filter: f, out: bufio.NewWriterSize(out, maxLine)}
	c.boot()
	ahead := 0 // bytes that were looked through
	for long := false; ; {
		if ahead <= 0 {
			_, _ = r.Peek(1) // its error comes again
			chunk, _ := r.Peek(r.Buffered())
			c.prepare(chunk)
			ahead = len(chunk)
		}
		line, err := r.ReadSlice('\n')
		ahead -= len(line)
		whole := err == nil || errors.Is(err, io.EOF)
		if len(line) > 0 {
			if !long {
				c.stats.Lines++
			}
			if long || !whole || len(line) > maxLine {
				c.pass(line, nil)
			} else {
				c.line(line)
			}
			long = !whole
		}
		if err != nil && whole || err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			c.drain(true)
			if errors.Is(err, io.EOF) {
				err = nil
			}
			return c.stats, errors.Join(err, c.out.Flush())
		}
		if r.Buffered() == 0 {
			if err := c.out.Flush(); err != nil {
				return c.stats, err
			}
		}
	}
}

// copying is a Copy under way.
type copying struct {
	*Filter
	out   *bufio.Writer
	stats Stats

	id      Identity
	opened  bool // symbols are what Open gave for id
	symbols Symbols
	slide   uint64
	slid    bool // slide is known
	forced  bool // what is not known is not waited for any more
	known   map[Identity]Symbols
	answers map[question]Answer

	held      []heldLine // lines that wait, in order
	heldBytes int
	ip        uint64 // an exact address that waits for the slide: the RIP line that follows has its symbol

	places []Place
	reply  []Answer
	buffer []byte
}

type heldLine struct {
	number int
	line   []byte
	places []Place
}

// question is what an answer depends on.
type question struct {
	symbol, module, buildID string
	offset, size, link      uint64
	kind                    unwind.Kind
}

// boot forgets what is of one boot only.
func (c *copying) boot() {
	c.id, c.opened, c.forced, c.ip = Identity{}, false, false, 0
	c.slide, c.slid = 0, false
	c.symbols, c.answers = nil, map[question]Answer{}
	if c.Slide != nil {
		c.slide, c.slid = *c.Slide, true
	}
	if c.Symbols != nil {
		c.symbols, c.opened = c.Symbols, true
	}
}

// line takes one line of at most maxLine bytes.
func (c *copying) line(line []byte) {
	if said, ok := Read(line); ok {
		c.learn(said)
	}
	c.places = Find(line, c.places[:0])
	c.stats.Places += len(c.places)
	for i := range c.places {
		c.pair(&c.places[i])
	}
	c.pass(line, c.places)
}

// pass writes a line, or makes it wait.
func (c *copying) pass(line []byte, places []Place) {
	if len(c.held) == 0 && c.ready(places) {
		c.write(c.stats.Lines, line, places)
		return
	}
	c.held = append(c.held, heldLine{c.stats.Lines, bytes.Clone(line), append([]Place(nil), places...)})
	c.heldBytes += len(line)
	c.drain(len(c.held) > maxHeld || c.heldBytes > maxHeldBytes)
}

// drain writes the lines that wait as far as they can be; all of them if it must be.
func (c *copying) drain(all bool) {
	if all && len(c.held) > 0 {
		c.forced = true
	}
	n := 0
	for n < len(c.held) && c.ready(c.held[n].places) {
		h := c.held[n]
		c.write(h.number, h.line, h.places)
		c.heldBytes -= len(h.line)
		n++
	}
	c.held = append(c.held[:0], c.held[n:]...)
}

// learn takes what a line says of its kernel.
func (c *copying) learn(said Said) {
	switch {
	case said.Boot:
		c.drain(true)
		c.boot()
	case said.Release != "" && c.id.Release != "" && said.Release != c.id.Release,
		said.Version != "" && c.id.Version != "" && said.Version != c.id.Version,
		said.BuildID != "" && c.id.BuildID != "" && said.BuildID != c.id.BuildID:
		c.drain(true) // another kernel's, whose beginning was cut off
		c.boot()
	}
	if said.Slid && c.Slide == nil {
		c.slide, c.slid = said.Slide, true
	}
	if said.Release != "" {
		if c.id.Release == "" && c.Symbols == nil && c.forced {
			c.opened, c.symbols, c.answers = false, nil, map[question]Answer{} // it was looked for without a name
		}
		c.id.Release = said.Release
		if said.Version != "" {
			c.id.Version = said.Version
		}
	}
	if said.BuildID != "" && c.id.BuildID == "" {
		if c.Symbols == nil && c.symbols == nil {
			c.opened = false // the build id may find what the release did not
		}
		c.id.BuildID = said.BuildID
	}
	if c.id != (Identity{}) {
		c.note(c.id)
	}
	c.drain(false)
}

func (c *copying) note(id Identity) {
	for i, k := range c.stats.Kernels {
		if k.Release == id.Release && k.Version == id.Version && (k.BuildID == "" || k.BuildID == id.BuildID) {
			c.stats.Kernels[i] = id
			return
		}
		if k == id {
			return
		}
	}
	if len(c.stats.Kernels) < maxKernels {
		c.stats.Kernels = append(c.stats.Kernels, id)
	}
}

// open finds the files once the text has told whose they are.
func (c *copying) open() {
	c.opened = true
	if c.Open == nil {
		return
	}
	if s, ok := c.known[c.id]; ok {
		c.symbols = s
		return
	}
	if len(c.known) >= maxKernels {
		return
	}
	s, err := c.Open(c.id)
	if err != nil {
		c.stats.Errors = append(c.stats.Errors, err)
	} else {
		c.symbols = s
	}
	if c.known == nil {
		c.known = map[Identity]Symbols{}
	}
	c.known[c.id] = c.symbols
}

// ready reports whether all is known that a line's places need.
func (c *copying) ready(places []Place) bool {
	if len(places) == 0 {
		return true
	}
	if !c.opened {
		if c.id == (Identity{}) && !c.forced {
			return false
		}
		c.open()
	}
	if c.symbols == nil || c.slid || c.forced {
		return true
	}
	for i := range places {
		if p := &places[i]; p.Symbol == "" && !c.unmoved(p) {
			if p.Kind == unwind.Exact {
				c.ip = p.Addr
			}
			return false
		}
	}
	return true
}

// unmoved reports whether an address is one of the kernel's as it was linked. A kernel that KASLR has moved is there only when
// it was moved by less than its own size, which is one of some fifty times.
func (c *copying) unmoved(p *Place) bool {
	_, ok := c.ask(p, p.Addr)
	return ok
}

// pair learns the slide from a line that has both, the address and the symbol, or from an address that waits and the symbol of
// the RIP line that follows it: the report of an early exception.
func (c *copying) pair(p *Place) {
	addr := p.Addr
	if addr == 0 && p.Kind == unwind.Exact && p.Offset > 0 && p.Module == "" {
		addr, c.ip = c.ip, 0
	}
	if c.slid || addr == 0 || p.Symbol == "" || p.Module != "" || c.symbols == nil {
		return
	}
	if a := c.symbol(p); a.Link != 0 && len(a.Several) == 0 && ValidSlide(addr-a.Link) {
		c.slide, c.slid = addr-a.Link, true
		c.drain(false)
	}
}

// prepare looks through the text that is at hand.
func (c *copying) prepare(chunk []byte) {
	p, ok := c.symbols.(Preparer)
	if !ok {
		return
	}
	c.places = c.places[:0]
	for line := range bytes.Lines(chunk) {
		first := len(c.places)
		c.places = Find(line, c.places)
		for i := first; i < len(c.places); i++ {
			if _, known := c.answers[c.places[i].question()]; known || c.places[i].Symbol == "" {
				c.places = slices.Delete(c.places, i, i+1)
				i--
			}
		}
		if len(c.places) >= maxPrepared {
			break
		}
	}
	if len(c.places) > 1 {
		p.Prepare(c.places)
	}
}

// question is what the answer to a place's symbol depends on.
func (p *Place) question() question {
	return question{symbol: p.Symbol, module: p.Module, buildID: p.BuildID, offset: p.Offset, size: p.Size, kind: p.Kind}
}

// symbol asks for a place by its symbol.
func (c *copying) symbol(p *Place) Answer {
	q := p.question()
	if a, ok := c.answers[q]; ok {
		return a
	}
	return c.keep(q, c.symbols.Symbol(*p))
}

// ask asks for a place by a link-time address. ok is false where no code is.
func (c *copying) ask(p *Place, link uint64) (Answer, bool) {
	q := question{link: link, kind: p.Kind}
	if a, ok := c.answers[q]; ok {
		return a, a.Link != 0
	}
	a, ok := c.symbols.At(link, p.Kind)
	if !ok {
		a = Answer{}
	}
	return c.keep(q, a), a.Link != 0
}

func (c *copying) keep(q question, a Answer) Answer {
	if len(c.answers) >= maxCached {
		clear(c.answers)
	}
	c.answers[q] = a
	return a
}

// write writes a line with its answers.
func (c *copying) write(number int, line []byte, places []Place) {
	if len(places) == 0 || c.symbols == nil {
		_, _ = c.out.Write(line) // bufio keeps the error for Flush
		return
	}
	c.reply = c.reply[:0]
	for i := range places {
		c.reply = append(c.reply, c.answer(&places[i]))
	}
	c.buffer = annotate(c.buffer[:0], line, places, c.reply)
	_, _ = c.out.Write(c.buffer)
	for i, a := range c.reply {
		if a.Foreign {
			c.stats.Foreign++
		}
		switch {
		case len(a.Several) > 0:
			c.stats.Ambiguous++
		case len(a.Frames) > 0:
			c.stats.Located++
		}
		if c.Each == nil {
			continue
		}
		found := Found{Line: number, Text: string(line[places[i].Start:places[i].End]), Place: places[i], Addr: places[i].Addr, Answer: a}
		if found.Addr == 0 && a.Link != 0 {
			found.Addr = a.Link + c.slide
		}
		c.Each(found)
	}
}

// answer is what is known of a place: by its symbol, which does not depend on where the kernel is, else by its address.
func (c *copying) answer(p *Place) Answer {
	if p.Symbol != "" {
		return c.symbol(p)
	}
	a, ok := c.ask(p, p.Addr-c.slide)
	if !ok && a.Reason == "" {
		a.Reason = "no code of this kernel"
	}
	return a
}
