// Package rsptest is a GDB stub made of a text file: it replays a recorded conversation through a pipe, so that a client is
// tested against what QEMU really said, without QEMU.
//
// A transcript has one packet a line. The stub adds framing, checksums and acknowledgements, and asks for the client's:
//
//	# recorded: <qemu version and argv>, <date>
//	> qSupported:multiprocess+
//	< PacketSize=1000;qXfer:features:read+;vContSupported+;multiprocess+
//	> vCont;c
//	> ^C
//	< T02thread:p01.01;
//
// Lines starting with # and empty lines are comments. ^C alone is the interrupt byte, which may come more than once. In a
// payload \n, \t, \\ and \xNN stand for bytes. A raw transcript (see [ReplayRaw]) has Go-quoted strings instead, byte for
// byte, and every < line is one write.
//
// What it needs from you: a test that asks for just the recorded packets, in that order. What it does not do: it knows no
// protocol beyond the frame, and has no clock. [Record] makes a transcript of a live conversation.
package rsptest

import (
	"bufio"
	"fmt"
	"os"
	"strconv"
	"strings"
)

// line is one packet (or, raw, one piece of bytes) of a transcript.
type line struct {
	number    int
	toStub    bool
	payload   string
	interrupt bool // ^C
}

// parse reads a transcript. raw lines are Go-quoted.
func parse(text string, raw bool) ([]line, error) {
	var lines []line
	scan := bufio.NewScanner(strings.NewReader(text))
	scan.Buffer(nil, 1<<20)
	for n := 1; scan.Scan(); n++ {
		s := scan.Text()
		if s == "" || strings.HasPrefix(s, "#") {
			continue
		}
		rest, toStub := strings.CutPrefix(s, "> ")
		if !toStub {
			var ok bool
			if rest, ok = strings.CutPrefix(s, "< "); !ok && s != "<" {
				return nil, fmt.Errorf("%d: line starts with neither > nor <: %q", n, s)
			} else if !ok {
				rest = ""
			}
		}
		l := line{number: n, toStub: toStub}
		var err error
		switch {
		case raw:
			l.payload, err = strconv.Unquote(rest)
		case rest == "^C":
			l.payload, l.interrupt = "\x03", true
		default:
			l.payload, err = unescape(rest)
		}
		if err != nil {
			return nil, fmt.Errorf("%d: %q: %w", n, rest, err)
		}
		lines = append(lines, l)
	}
	return lines, scan.Err()
}

func load(path string, raw bool) ([]line, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	lines, err := parse(string(text), raw)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return lines, nil
}

// escape writes a payload for a transcript.
func escape(payload string) string {
	var b strings.Builder
	for i := range len(payload) {
		switch c := payload[i]; {
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\\':
			b.WriteString(`\\`)
		case c < 0x20 || c > 0x7e:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

func unescape(s string) (string, error) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] != '\\' {
			b.WriteByte(s[i])
			continue
		}
		if i++; i == len(s) {
			return "", fmt.Errorf("ends in a backslash")
		}
		switch s[i] {
		case 'n':
			b.WriteByte('\n')
		case 't':
			b.WriteByte('\t')
		case '\\':
			b.WriteByte('\\')
		case 'x':
			if i+3 > len(s) {
				return "", fmt.Errorf(`\x is cut short`)
			}
			v, err := strconv.ParseUint(s[i+1:i+3], 16, 8)
			if err != nil {
				return "", err
			}
			b.WriteByte(byte(v))
			i += 2
		default:
			return "", fmt.Errorf(`unknown escape \%c`, s[i])
		}
	}
	return b.String(), nil
}
