package rsptest

import (
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// probe is a test that notes its failures and runs its cleanups when told to.
type probe struct {
	testing.TB
	errors  []string
	cleanup []func()
}

func (p *probe) Helper()           {}
func (p *probe) Error(args ...any) { p.errors = append(p.errors, fmt.Sprint(args...)) }
func (p *probe) Failed() bool      { return len(p.errors) > 0 }
func (p *probe) Cleanup(f func())  { p.cleanup = append(p.cleanup, f) }
func (p *probe) finish() string {
	for i := len(p.cleanup) - 1; i >= 0; i-- {
		p.cleanup[i]()
	}
	return strings.Join(p.errors, "\n")
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "x.rsp")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// talk writes and reads by turns: what starts with < is read. It gives up at the first failure.
func talk(conn net.Conn, pieces ...string) {
	for _, s := range pieces {
		if want, ok := strings.CutPrefix(s, "<"); ok {
			if _, err := io.ReadFull(conn, make([]byte, len(want))); err != nil {
				return
			}
		} else if _, err := io.WriteString(conn, s); err != nil {
			return
		}
	}
}

func TestReplay(t *testing.T) {
	const text = "# recorded: by hand\n\n> qC\n< QC\\x7d\n> vCont;c\n> ^C\n< T02\n"
	tests := []struct {
		name string
		says []string
		want string // in the failure; empty for none
	}{
		{"as recorded", []string{"$qC#b4", "<+$QC}]#6e", "+", "$vCont;c#a8", "<+", "\x03", "<$T02#b6", "\x03+"}, ""},
		{"another packet", []string{"$qD#b5"}, "x.rsp:3: got > qD, want > qC"},
		{"wrong checksum", []string{"$qC#b5"}, "x.rsp:3: want > qC: packet \"qC\" has checksum b5, want b4"},
		{"no packet", []string{"hello"}, "x.rsp:3: want > qC: packet starts with 'h'"},
		{"no acknowledgement", []string{"$qC#b4", "<+$QC}]#6e", "$vCont;c#a8"}, "x.rsp:4: '$' instead of an acknowledgement"},
		{"hung up", []string{"$qC#b4", "<+$QC}]#6e", "+"}, "x.rsp:5: want > vCont;c: the client hung up"},
		{"one too many", []string{"$qC#b4", "<+$QC}]#6e", "+", "$vCont;c#a8", "<+", "\x03", "<$T02#b6", "+", "$qC#b4"},
			"x.rsp:7: got > qC after the end of the transcript"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p := &probe{TB: t}
			conn := Replay(p, file(t, text))
			talk(conn, test.says...)
			got := p.finish()
			if test.want == "" && got != "" || !strings.Contains(got, test.want) {
				t.Errorf("said %q: failure %q, want %q", test.says, got, test.want)
			}
		})
	}
}

func TestReplayRaw(t *testing.T) {
	path := file(t, "# by hand\n> \"ab\"\n< \"\\x00c\"\n")
	for says, want := range map[string]string{"ab": "", "ax": `x.rsp:2: got > "ax", want > "ab"`, "a": `x.rsp:2: got > "a", want > "ab"`} {
		p := &probe{TB: t}
		conn := ReplayRaw(p, path)
		pieces := []string{says}
		if says == "ab" {
			pieces = append(pieces, "<xx")
		}
		talk(conn, pieces...)
		if got := p.finish(); want == "" && got != "" || !strings.Contains(got, want) {
			t.Errorf("said %q: failure %q, want %q", says, got, want)
		}
	}
}

func TestParse(t *testing.T) {
	for _, text := range []string{"hello", ">x", "< a\\", "< \\q", "< \\x0", "< \\xzz"} {
		if lines, err := parse(text, false); err == nil || !strings.HasPrefix(err.Error(), "1: ") {
			t.Errorf("%q: %v, %v", text, lines, err)
		}
	}
	payload := "l<?xml?>\n\t\\$#}*\x00\xff"
	lines, err := parse("< "+escape(payload)+"\n<\n", false)
	if err != nil || len(lines) != 2 || lines[0].payload != payload || lines[1].payload != "" {
		t.Errorf("%+v, %v", lines, err)
	}
}

// TestRecord records a conversation with a replayed stub; the recording is the transcript again.
func TestRecord(t *testing.T) {
	const text = "> qC\n< QC}\n> vCont;c\n> ^C\n< T02\n"
	path := filepath.Join(t.TempDir(), "new.rsp")
	p := &probe{TB: t}
	conn := Record(p, Replay(p, file(t, text)), path, "recorded: here\n")
	talk(conn, "$qC#b4", "<+$QC}]#6e", "+", "$vCont;c#a8", "<+", "\x03", "<$T02#b6", "+")
	if got := p.finish(); got != "" {
		t.Fatal(got)
	}
	got, err := os.ReadFile(path)
	if want := "# recorded: here\n" + text; err != nil || string(got) != want {
		t.Errorf("%q, %v; want %q", got, err, want)
	}
}
