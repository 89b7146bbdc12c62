package machine

import (
	"bufio"
	"encoding/json"
	"fmt"
	"net"
	"testing"
)

const greeting = `{"QMP": {"version": {"qemu": {"micro": 22, "minor": 2, "major": 7}, "package": "fake"}, "capabilities": ["oob"]}}`

// fakeQMP is a QMP server: it greets, accepts the handshake, and then leaves every command to play. Its end of the
// connection is closed when the test ends.
type fakeQMP struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
}

// fake starts a server and returns the client's end.
func fake(t testing.TB, play func(q *fakeQMP)) net.Conn {
	client, server := net.Pipe()
	q := &fakeQMP{t: t, conn: server, in: bufio.NewReader(server)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		play(q)
	}()
	t.Cleanup(func() {
		client.Close()
		server.Close()
		<-done
	})
	return client
}

// say writes a line; that nobody reads it any more is no failure.
func (q *fakeQMP) say(format string, args ...any) {
	_, _ = fmt.Fprintf(q.conn, format+"\n", args...)
}

// hear returns the next command's name and id; empty when the client has gone.
func (q *fakeQMP) hear() (command, id string) {
	line, err := q.in.ReadBytes('\n')
	if err != nil {
		return "", ""
	}
	var v struct {
		Execute string `json:"execute"`
		ID      string `json:"id"`
	}
	if err := json.Unmarshal(line, &v); err != nil {
		q.t.Errorf("client says %q: %v", line, err)
	}
	return v.Execute, v.ID
}

// shake is a handshake as QEMU does it.
func (q *fakeQMP) shake() {
	q.say(greeting)
	q.hear()
	q.say(`{"return": {}}`)
}

func connect(t testing.TB, play func(q *fakeQMP)) *monitor {
	t.Helper()
	m, err := dialMonitor(t.Context(), fake(t, play), shortDir(t)+"/r")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(m.close)
	return m
}
