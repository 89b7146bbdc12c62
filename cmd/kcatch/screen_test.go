package main

import (
	"os"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/creack/pty"
)

// screen is the other end of a pseudo terminal: what a terminal that wraps its lines anew when it is resized would show. It knows what
// kcatch writes and no more; anything else is an error. (The same was looked at in tmux.)
type screen struct {
	t   *testing.T
	pty *os.File
	tty *os.File

	mu      sync.Mutex
	width   int
	rows    []string // from the first that was ever written; runes
	at, col int      // the cursor
	nowrap  bool
	rest    string // of a sequence that is not complete
}

func newScreen(t *testing.T, width, height int) *screen {
	t.Helper()
	s := &screen{t: t, width: width, rows: []string{""}}
	s.pty, s.tty = openTerminal(t, func(chunk string) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.rest = stepwise(s.rest+chunk, s.step)
	})
	s.resize(width, height)
	return s
}

func (s *screen) resize(width, height int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := pty.Setsize(s.pty, &pty.Winsize{Cols: uint16(width), Rows: uint16(height)}); err != nil {
		s.t.Error(err)
	}
	s.width = width
	var rows []string
	at, col := 0, 0
	for i, row := range s.rows {
		r := []rune(row)
		for len(r) > width {
			rows, r = append(rows, string(r[:width])), r[width:]
		}
		rows = append(rows, string(r))
		if i == s.at {
			at, col = len(rows)-1, min(s.col, len(r))
		}
	}
	s.rows, s.at, s.col = rows, at, col
}

// step takes one character or sequence off data, and says how long it was; 0 when it is not complete.
func (s *screen) step(data string) int {
	switch {
	case data[0] == '\r':
		s.col = 0
		return 1
	case data[0] == '\n':
		if s.at++; s.at == len(s.rows) {
			s.rows = append(s.rows, "")
		}
		return 1
	case data[0] == 0x1b:
		end := strings.IndexAny(data[1:], "ABCDHJKhlm")
		if end < 0 {
			return 0
		}
		s.sequence(data[1 : end+2])
		return end + 2
	case !utf8.FullRuneInString(data):
		return 0
	}
	r, size := utf8.DecodeRuneInString(data)
	if s.col == s.width {
		if s.nowrap {
			s.col--
		} else {
			s.step("\r")
			s.step("\n")
		}
	}
	row := append([]rune(s.rows[s.at]), []rune(strings.Repeat(" ", s.width))...)
	row[s.col] = r
	s.rows[s.at] = strings.TrimRight(string(row), " ")
	s.col++
	return size
}

func (s *screen) sequence(seq string) {
	switch {
	case seq == "[K":
		s.rows[s.at] = string([]rune(s.rows[s.at])[:min(s.col, utf8.RuneCountInString(s.rows[s.at]))])
	case seq == "[J":
		s.sequence("[K")
		s.rows = s.rows[:s.at+1]
	case seq == "[?7l", seq == "[?7h":
		s.nowrap = seq == "[?7l"
	case strings.HasSuffix(seq, "A"):
		n := 0
		for _, d := range seq[1 : len(seq)-1] {
			n = 10*n + int(d-'0')
		}
		s.at = max(0, s.at-n)
	case strings.HasSuffix(seq, "m"):
	default:
		s.t.Errorf("unknown sequence: %q", seq)
	}
}

func (s *screen) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.TrimRight(strings.Join(s.rows, "\n"), "\n")
}

// until waits until the screen shows what is asked for.
func (s *screen) until(what string, shown func(text string) bool) {
	s.t.Helper()
	for deadline := time.Now().Add(patience); !shown(s.text()); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			s.t.Fatalf("%s: not in %v:\n%s", what, patience, s.text())
		}
	}
}

func (s *screen) untilIs(text string) {
	s.t.Helper()
	s.until(text, func(t string) bool { return t == text })
}
