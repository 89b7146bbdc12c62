package trace

import (
	"bytes"
	"strconv"

	"kcatch/gdb/vmlinux"
)

// MaxSeveral is how many locations of an ambiguous place are written.
const MaxSeveral = 4

// The bounds of what is added to a place.
const (
	maxInlined  = 64  // functions that are inlined at one place
	maxWritten  = 256 // bytes of a name or a file
	widestBlank = 48  // columns that an inlined function is indented by
)

// annotate appends a line to dst with what is known of its places: answers[i] is of places[i].
func annotate(dst, line []byte, places []Place, answers []Answer) []byte {
	text := bytes.TrimRight(line, "\r\n")
	ending := line[len(text):]
	if !bytes.HasSuffix(ending, []byte("\n")) {
		ending = []byte("\n")
	}
	begin := -1
	for i, p := range places {
		if len(answers[i].Frames) < 2 || done(text[min(p.End, len(text)):]) {
			continue
		}
		if begin < 0 {
			begin = message(text)
		}
		inlined := answers[i].Frames[:min(len(answers[i].Frames)-1, maxInlined)]
		for _, f := range inlined {
			dst = append(dst, bytes.TrimLeft(text[:min(begin, p.Start)], "\r")...)
			dst = appendIndent(dst, p, text[min(begin, p.Start):p.Start])
			dst = appendName(dst, f.Function)
			dst = append(dst, " ("...)
			dst = appendPlace(dst, f)
			dst = append(dst, ") (inlined)"...)
			dst = append(dst, ending...)
		}
	}
	from := 0
	for i, p := range places {
		if done(text[min(p.End, len(text)):]) {
			continue
		}
		dst = append(dst, line[from:p.End]...)
		from = p.End
		dst = answers[i].append(dst, p)
	}
	return append(dst, line[from:]...)
}

// append writes what stands behind a place.
func (a *Answer) append(dst []byte, p Place) []byte {
	if p.Symbol == "" && a.Symbol != "" {
		dst = append(dst, ' ')
		dst = appendName(dst, a.Symbol)
		dst = append(dst, "+0x"...)
		dst = strconv.AppendUint(dst, a.Offset, 16)
		dst = append(dst, "/0x"...)
		dst = strconv.AppendUint(dst, a.Size, 16)
	}
	switch {
	case len(a.Several) > 0:
		dst = append(dst, " (ambiguous: "...)
		for i, l := range a.Several[:min(len(a.Several), MaxSeveral)] {
			if i > 0 {
				dst = append(dst, ", "...)
			}
			dst = appendPlace(dst, l)
		}
		if more := len(a.Several) - MaxSeveral; more > 0 {
			dst = append(dst, ", and "...)
			dst = strconv.AppendInt(dst, int64(more), 10)
			dst = append(dst, " more"...)
		}
		dst = append(dst, ')')
	case len(a.Frames) > 0 && a.Frames[len(a.Frames)-1].File != "":
		dst = append(dst, " ("...)
		dst = appendPlace(dst, a.Frames[len(a.Frames)-1])
		dst = append(dst, ')')
	}
	return dst
}

// done reports whether what follows a place is what we would add: a text may come through here twice, or through
// decode_stacktrace.sh first.
func done(rest []byte) bool {
	rest, ok := bytes.CutPrefix(rest, []byte(" ("))
	if !ok {
		return false
	}
	end := bytes.IndexByte(rest, ')')
	return end > 0 && bytes.IndexByte(rest[:end], ':') > 0
}

// appendIndent puts an inlined function's name under the place's: blanks for the message before that, and its "? ".
func appendIndent(dst []byte, p Place, before []byte) []byte {
	n := min(len(uncoloured(before)), widestBlank)
	if p.Guess && n >= 2 {
		n -= 2
	}
	for range n {
		dst = append(dst, ' ')
	}
	if p.Guess {
		dst = append(dst, "? "...)
	}
	return dst
}

// appendPlace writes "mm/page_alloc.c:6958"; a line that the compiler could not tell is "?", as binutils have it.
func appendPlace(dst []byte, l vmlinux.Location) []byte {
	if l.File == "" {
		return append(dst, "??:0"...)
	}
	dst = appendName(dst, l.File)
	dst = append(dst, ':')
	if l.Line <= 0 {
		return append(dst, '?')
	}
	return strconv.AppendInt(dst, int64(l.Line), 10)
}

// appendName writes a name from a file, which is hostile, too: printable ASCII, and not too much of it.
func appendName(dst []byte, name string) []byte {
	if name == "" {
		return append(dst, "??"...)
	}
	for i := range min(len(name), maxWritten) {
		c := name[i]
		if c <= ' ' || c >= 0x7f {
			c = '?'
		}
		dst = append(dst, c)
	}
	return dst
}
