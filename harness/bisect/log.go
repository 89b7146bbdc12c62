package bisect

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"

	"kcatch/internal/blame"
)

// logSchema names the form of the log: JSON lines, the first a "start".
const logSchema = "kcatch/bisect-log/v1"

// Record is one line of the log. Every boot is one, written as soon as it is over.
type Record struct {
	// Type is start, boot, skip, inert, trial or end.
	Type string `json:"type"`
	Time string `json:"time,omitempty"` // RFC 3339

	// Of a start.
	Schema   string          `json:"schema,omitempty"`
	Good     string          `json:"good,omitempty"`
	Bad      string          `json:"bad,omitempty"`
	Settings json.RawMessage `json:"settings,omitempty"` // whatever it takes to go on

	// Of a boot, a skip and a trial. A key that is no commit is that of a revert.
	Commit    string   `json:"commit,omitempty"`
	Image     string   `json:"image,omitempty"`
	Outcome   string   `json:"outcome,omitempty"` // boot: good or bad; trial: dies, lives or skip
	Signature string   `json:"signature,omitempty"`
	Summary   string   `json:"summary,omitempty"`
	Chain     []string `json:"chain,omitempty"`
	Seconds   float64  `json:"seconds,omitempty"`
	Artifacts string   `json:"artifacts,omitempty"`
	Reason    string   `json:"reason,omitempty"`

	// Of an inert.
	Commits []string `json:"commits,omitempty"`
}

// Log is the file of a run. It may be written by several goroutines.
type Log struct {
	mu sync.Mutex
	f  *os.File
}

// OpenLog opens a log to add to; it is made when it is not there.
func OpenLog(name string) (*Log, error) {
	f, err := os.OpenFile(name, os.O_APPEND|os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, &blame.Error{Kind: blame.Infrastructure, Msg: "log: " + err.Error(), Err: err, Hint: "name another directory with --out"}
	}
	// A line that a crash cut must not swallow the next one.
	data, err := io.ReadAll(io.LimitReader(f, maxLog))
	if whole := bytes.LastIndexByte(data, '\n') + 1; err == nil && whole < len(data) {
		err = f.Truncate(int64(whole))
	}
	if err != nil {
		_ = f.Close()
		return nil, logError(err)
	}
	return &Log{f: f}, nil
}

func logError(err error) error {
	return &blame.Error{Kind: blame.Infrastructure, Msg: "log: " + err.Error(), Err: err, Hint: "free some space; what was written is used by --resume"}
}

// Write adds a line and has it on the disk when it returns.
func (l *Log) Write(r Record) error {
	if l == nil {
		return nil
	}
	data, err := json.Marshal(r)
	if err != nil {
		return logError(err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := l.f.Write(append(data, '\n')); err != nil {
		return logError(err)
	}
	if err := l.f.Sync(); err != nil {
		return logError(err)
	}
	return nil
}

// Close closes the file.
func (l *Log) Close() error {
	if l == nil {
		return nil
	}
	return l.f.Close()
}

// Bounds of a log that is read: a long bisection of a death that strikes in one boot of a hundred has some thousand lines.
const (
	maxLogLine = 1 << 20
	maxLog     = 256 << 20
)

// ReadLog reads a log. A last line that a crash cut is left out; any other line that is none is an error with its number.
func ReadLog(r io.Reader) ([]Record, error) {
	in := bufio.NewReaderSize(io.LimitReader(r, maxLog), 64<<10)
	var list []Record
	for n := 1; ; n++ {
		line, end := in.ReadString('\n')
		if end != nil && end != io.EOF {
			return nil, end
		}
		if len(line) > maxLogLine {
			return nil, fmt.Errorf("line %d: longer than %d bytes", n, maxLogLine)
		}
		if strings.TrimSpace(line) != "" {
			var rec Record
			err := json.Unmarshal([]byte(line), &rec)
			switch {
			case err != nil && end == io.EOF && n > 1: // cut
			case err != nil && n > 1:
				return nil, fmt.Errorf("line %d: %v", n, err)
			case len(list) == 0 && (err != nil || rec.Type != "start" || rec.Schema != logSchema):
				return nil, fmt.Errorf("line %d: not a log of kcatch bisect: it begins with no start of %s", n, logSchema)
			default:
				list = append(list, rec)
			}
		}
		if end == io.EOF {
			break
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("not a log of kcatch bisect: no start")
	}
	return list, nil
}

// GitReplay is a log in the form that "git bisect replay" reads: what the trials say, without what a later one took back.
func GitReplay(records []Record, fixed bool) string {
	var b strings.Builder
	old, new := "good", "bad"
	if fixed {
		old, new = "old", "new"
		b.WriteString("git bisect start '--term-old=old' '--term-new=new'\n")
	} else {
		b.WriteString("git bisect start\n")
	}
	word := func(outcome string) string {
		switch Outcome(outcome) {
		case Dies:
			if fixed {
				return old
			}
			return new
		case Lives:
			if fixed {
				return new
			}
			return old
		case Skipped:
			return "skip"
		}
		return ""
	}
	last := map[string]int{}
	for i, r := range records {
		if r.Type == "trial" && objectName(r.Commit) {
			last[r.Commit] = i
		}
	}
	for i, r := range records {
		if w := word(r.Outcome); r.Type == "trial" && w != "" && last[r.Commit] == i && objectName(r.Commit) {
			fmt.Fprintf(&b, "git bisect %s %s\n", w, r.Commit)
		}
	}
	return b.String()
}

// objectName reports whether s is an object name in full: 40 or 64 hexadecimal digits.
func objectName(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}
