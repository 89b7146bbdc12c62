package kconfig

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxLine bounds one line of a configuration in bytes; the longest of Debian's own is below 200.
const maxLine = 64 << 10

// Option is one line of a configuration.
type Option struct {
	// Symbol is the name without CONFIG_, case kept.
	Symbol string
	// Value is y, m or n, a number as written, or a string with its quotes and escapes as written. It is empty for
	// the line "CONFIG_X=", which kconfig before Linux 6.8 wrote for an int without a default.
	Value string
	// Line is where the option stood, from 1; 0 when it was made by [Config.Set].
	Line int
}

// String is the line as kconfig writes it: CONFIG_X=y, or "# CONFIG_X is not set" for n.
func (o Option) String() string {
	if o.Value == "n" {
		return "# CONFIG_" + o.Symbol + " is not set"
	}
	return "CONFIG_" + o.Symbol + "=" + o.Value
}

// Config is an ordered set of options, one per symbol. The zero value is empty and ready to use. Copies made with
// assignment share their content; [Merge] makes a new one.
type Config struct {
	options []Option
	index   map[string]int
}

// ParseError is a line that is no line of a configuration.
type ParseError struct {
	Line  int    // from 1
	Text  string // the line, cut to a readable length
	Cause string
}

func (e *ParseError) Error() string { return fmt.Sprintf("line %d: %q: %s", e.Line, e.Text, e.Cause) }

// Parse reads a .config or a fragment. A symbol that occurs twice has its last value and its first place, as in
// kconfig. An error is a *[ParseError], or the reader's own; the Config is then empty.
//
// kconfig itself only warns about a line it does not understand; here a mistyped fragment is refused.
func Parse(r io.Reader) (Config, error) {
	var c Config
	sc := bufio.NewScanner(r)
	sc.Buffer(make([]byte, 0, 4096), maxLine)
	n := 0
	for sc.Scan() {
		n++
		o, ok, cause := parseLine(sc.Text())
		if cause != "" {
			return Config{}, &ParseError{Line: n, Text: clip(sc.Text()), Cause: cause}
		}
		if ok {
			o.Line = n
			c.put(o)
		}
	}
	if err := sc.Err(); errors.Is(err, bufio.ErrTooLong) {
		return Config{}, &ParseError{Line: n + 1, Cause: fmt.Sprintf("longer than %d bytes", maxLine)}
	} else if err != nil {
		return Config{}, err
	}
	return c, nil
}

// parseLine takes one line without its newline. ok is false for a blank line or a comment; cause says what is wrong.
//
//	CONFIG_LOCALVERSION="-kcatch"
//	# CONFIG_KASAN is not set
func parseLine(line string) (o Option, ok bool, cause string) {
	line = strings.TrimRight(line, " \t\r")
	if line == "" {
		return o, false, ""
	}
	if line[0] == '#' {
		name, is := strings.CutPrefix(line, "# CONFIG_")
		if !is {
			return o, false, ""
		}
		name, is = strings.CutSuffix(name, " is not set")
		if !is || !isSymbol(name) {
			return o, false, "" // prose that happens to start with an option's name
		}
		return Option{Symbol: name, Value: "n"}, true, ""
	}
	name, value, has := strings.Cut(line, "=")
	if !has {
		return o, false, "not CONFIG_NAME=VALUE and not \"# CONFIG_NAME is not set\""
	}
	name, is := strings.CutPrefix(name, "CONFIG_")
	if !is {
		return o, false, "the name does not start with CONFIG_"
	}
	if !isSymbol(name) {
		return o, false, "the name has a character other than letters, digits and _"
	}
	if cause := checkValue(value); cause != "" {
		return o, false, cause
	}
	return Option{Symbol: name, Value: value}, true, ""
}

// checkValue says what is wrong with the text after "=", or nothing.
func checkValue(v string) string {
	switch {
	case v == "" || v == "y" || v == "m" || v == "n":
		return ""
	case v[0] == '"':
		body := v[1:]
		for i := 0; i < len(body); i++ {
			switch body[i] {
			case '\\':
				i++
			case '"':
				if i == len(body)-1 {
					return ""
				}
				return "text after the closing quote"
			case 0, '\n':
				return "a control character in the string"
			}
		}
		return "the string has no closing quote"
	}
	if v == "Y" || v == "M" || v == "N" {
		return "the value is written in lower case: y, m or n"
	}
	if !isNumber(v) {
		return "the value is not y, m, n, a number or a \"string\""
	}
	return ""
}

// isNumber reports whether v is a decimal or hexadecimal number. Hexadecimal digits need no 0x in a hex symbol.
func isNumber(v string) bool {
	v = strings.TrimPrefix(v, "-")
	if len(v) > 2 && (v[:2] == "0x" || v[:2] == "0X") {
		v = v[2:]
	}
	for i := 0; i < len(v); i++ {
		c := v[i]
		if !(c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F') {
			return false
		}
	}
	return v != ""
}

// isSymbol reports whether name can be a Kconfig symbol.
func isSymbol(name string) bool {
	for i := 0; i < len(name); i++ {
		c := name[i]
		if !(c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
	}
	return name != ""
}

// Merge returns base with the options of the fragments on top, each later one winning over the earlier. A symbol keeps
// the place where it first stood; new ones follow in the fragments' order. Line numbers are those of the winning line.
func Merge(base Config, fragments ...Config) Config {
	var c Config
	for _, from := range append([]Config{base}, fragments...) {
		for _, o := range from.options {
			c.put(o)
		}
	}
	return c
}

func (c *Config) put(o Option) {
	if i, ok := c.index[o.Symbol]; ok {
		c.options[i] = o
		return
	}
	if c.index == nil {
		c.index = make(map[string]int)
	}
	c.index[o.Symbol] = len(c.options)
	c.options = append(c.options, o)
}

// Set gives symbol (without CONFIG_) a value as it stands in a .config; strings are given with their quotes.
func (c *Config) Set(symbol, value string) error {
	if !isSymbol(symbol) {
		return fmt.Errorf("set option: %q: not a symbol", clip(symbol))
	}
	if cause := checkValue(value); cause != "" {
		return fmt.Errorf("set option: CONFIG_%s=%s: %s", symbol, clip(value), cause)
	}
	c.put(Option{Symbol: symbol, Value: value})
	return nil
}

// Get returns the option of symbol (without CONFIG_).
func (c Config) Get(symbol string) (Option, bool) {
	i, ok := c.index[symbol]
	if !ok {
		return Option{}, false
	}
	return c.options[i], true
}

// Value returns the value of symbol (without CONFIG_), and n when it is not there, which is what kconfig means by it.
func (c Config) Value(symbol string) string {
	if o, ok := c.Get(symbol); ok {
		return o.Value
	}
	return "n"
}

// Enabled reports whether symbol (without CONFIG_) is y or m.
func (c Config) Enabled(symbol string) bool {
	v := c.Value(symbol)
	return v == "y" || v == "m"
}

// Len is the number of options.
func (c Config) Len() int { return len(c.options) }

// Options returns the options in order. The slice is the caller's.
func (c Config) Options() []Option { return append([]Option(nil), c.options...) }

// Render returns the configuration as text, one option a line in order, byte for byte the same for the same options.
func (c Config) Render() []byte {
	var b bytes.Buffer
	for _, o := range c.options {
		b.WriteString(o.String())
		b.WriteByte('\n')
	}
	return b.Bytes()
}

// unquote returns the content of a string value and leaves every other value as it is.
func unquote(v string) string {
	if len(v) < 2 || v[0] != '"' || v[len(v)-1] != '"' {
		return v
	}
	v = v[1 : len(v)-1]
	if strings.IndexByte(v, '\\') < 0 {
		return v
	}
	var b strings.Builder
	for i := 0; i < len(v); i++ {
		if v[i] == '\\' && i+1 < len(v) {
			i++
		}
		b.WriteByte(v[i])
	}
	return b.String()
}

// clip keeps a hostile line readable in a message.
func clip(s string) string {
	const limit = 60
	if len(s) > limit {
		return s[:limit] + "..."
	}
	return s
}
