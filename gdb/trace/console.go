package trace

import "bytes"

// IsConsole reports whether a line is one of a console's text, and not just the place that somebody asks for: it has a time or
// another prefix, it says something of its kernel, or there are more words around a place. An indented place is an entry of a
// call trace.
func IsConsole(line []byte) bool {
	line = bytes.TrimRight(line, "\r\n")
	if _, said := Read(line); said || message(line) > 0 {
		return true
	}
	return bytes.ContainsAny(line, " \t") && len(Find(line, nil)) > 0
}
