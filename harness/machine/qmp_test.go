package machine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/digitalocean/go-qemu/qmp"

	"kcatch/internal/blame"
)

// shutdownLine is what QEMU 7.2 sends for a triple fault under -action reboot=shutdown.
const shutdownLine = `{"timestamp": {"seconds": 1795457584, "microseconds": 328109}, "event": "SHUTDOWN", "data": {"guest": true, "reason": "guest-reset"}}`

func TestEventBeforeHandshakeReply(t *testing.T) {
	m := connect(t, func(q *fakeQMP) {
		q.say(greeting)
		q.hear()
		q.say(shutdownLine)
		// The reply and an event in one write, as a buffering reader loses it.
		q.say(`{"return": {}}` + "\n" + `{"timestamp": {"seconds": -1, "microseconds": -1}, "event": "STOP"}`)
		_, id := q.hear()
		q.say(`{"return": {"status": "paused"}, "id": %q}`, id)
	})
	e := <-m.events
	want := Event{Name: "SHUTDOWN", Reason: "guest-reset", Guest: true, Time: time.Unix(1795457584, 328109000)}
	if string(e.Data) != `{"guest":true,"reason":"guest-reset"}` {
		t.Errorf("data %s", e.Data)
	}
	if e.Name != want.Name || e.Reason != want.Reason || !e.Guest || !e.Time.Equal(want.Time) {
		t.Errorf("event %+v, want %+v", e, want)
	}
	if e := <-m.events; e.Name != "STOP" || e.Data != nil || !e.Time.IsZero() {
		t.Errorf("event %+v, want STOP", e)
	}
	var s struct{ Status string }
	if err := m.execute(t.Context(), "query-status", nil, &s); err != nil || s.Status != "paused" {
		t.Errorf("status %+v, %v", s, err)
	}
	if m.version != [3]int{7, 2, 22} {
		t.Errorf("version %v", m.version)
	}
}

// Events right behind a reply must not overwrite it (go-qemu #226); replies stay whole, events too.
func TestEventsBehindReplies(t *testing.T) {
	const rounds = 200
	long := strings.Repeat("x", 3000)
	m := connect(t, func(q *fakeQMP) {
		q.shake()
		for i := range rounds {
			_, id := q.hear()
			reply := fmt.Sprintf(`{"return": "%d %s", "id": %q}`, i, long, id)
			event := fmt.Sprintf(`{"event": "RESET", "data": {"reason": "%d %s"}, "timestamp": {"seconds": 1, "microseconds": 2}}`, i, strings.Repeat("y", 3000))
			q.say("%s", event+"\n"+reply+"\n"+event)
		}
	})
	var events sync.WaitGroup
	events.Go(func() {
		for i := range 2 * rounds {
			if e := <-m.events; e.Reason != fmt.Sprintf("%d %s", i/2, strings.Repeat("y", 3000)) {
				t.Errorf("event %d: %.40q", i, e.Reason)
				return
			}
		}
	})
	for i := range rounds {
		var got string
		if err := m.execute(t.Context(), "x", nil, &got); err != nil || got != fmt.Sprintf("%d %s", i, long) {
			t.Fatalf("reply %d: %.40q, %v", i, got, err)
		}
	}
	events.Wait()
}

func TestUnreadEventsDoNotStall(t *testing.T) {
	const flood = 3 * eventBuffer
	m := connect(t, func(q *fakeQMP) {
		q.shake()
		for i := range flood {
			q.say(`{"event": "RTC_CHANGE", "data": {"reason": "%d"}}`, i)
		}
		_, id := q.hear()
		q.say(`{"return": {}, "id": %q}`, id)
		q.say(shutdownLine)
		q.hear()
	})
	if err := m.execute(t.Context(), "query-status", nil, nil); err != nil {
		t.Fatal(err)
	}
	// The last one is there, however many came before it.
	for {
		select {
		case e := <-m.events:
			if e.Name == "SHUTDOWN" {
				return
			}
		case <-time.After(10 * time.Second):
			t.Fatal("the last event was lost")
		}
	}
}

func TestLateReplyIsDropped(t *testing.T) {
	answer := make(chan struct{})
	m := connect(t, func(q *fakeQMP) {
		q.shake()
		_, first := q.hear()
		<-answer
		q.say(`{"return": "late", "id": %q}`, first)
		_, second := q.hear()
		q.say(`{"return": "not asked for", "id": "77"}`)
		q.say(`{"return": "no id"}`)
		q.say(`{"return": "right", "id": %q}`, second)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
	defer cancel()
	err := m.execute(ctx, "slow", nil, nil)
	if !errors.Is(err, context.DeadlineExceeded) || blame.Of(err) != blame.Infrastructure || !strings.Contains(err.Error(), "qmp: slow: no reply in ") {
		t.Fatalf("slow: %v", err)
	}
	close(answer)
	var got string
	if err := m.execute(t.Context(), "quick", nil, &got); err != nil || got != "right" {
		t.Errorf("quick: %q, %v", got, err)
	}
}

func TestCancelledCommand(t *testing.T) {
	m := connect(t, func(q *fakeQMP) { q.shake(); q.hear(); q.hear() })
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(10*time.Millisecond, cancel)
	if err := m.execute(ctx, "slow", nil, nil); blame.Of(err) != blame.Interrupted {
		t.Errorf("%v is of kind %v, want interrupted", err, blame.Of(err))
	}
}

func TestReplies(t *testing.T) {
	big := strings.Repeat("z", 1<<20)
	for _, c := range []struct {
		name, reply, want string // want: in the error; empty: none
	}{
		{"value", `{"return": "v", "id": %q}`, ""},
		{"long value", `{"return": "` + big + `", "id": %q}`, ""},
		{"error", `{"error": {"class": "CommandNotFound", "desc": "The command x has not been found"}, "id": %q}`, "qmp: x: CommandNotFound: The command x has not been found"},
		{"error without text", `{"error": {"class": "GenericError", "desc": ""}, "id": %q}`, "qmp: x: GenericError"},
		{"long error", `{"error": {"class": "GenericError", "desc": "` + big + `"}, "id": %q}`, "qmp: x: GenericError: zzz"},
		{"another type", `{"return": {"a": 1}, "id": %q}`, "qmp: x: reply"},
		{"garbage", `ERROR 500 %q`, "qmp: x: QMP line"},
		{"no object", `[%q]`, "qmp: x: QMP line"},
		{"neither", `{"id": %q}`, "no greeting, event or reply"},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := connect(t, func(q *fakeQMP) {
				q.shake()
				_, id := q.hear()
				q.say(c.reply, id)
				q.hear()
			})
			var got string
			err := m.execute(t.Context(), "x", nil, &got)
			switch {
			case c.want == "":
				if err != nil || got != "v" && got != big {
					t.Errorf("%.20q, %v", got, err)
				}
			case err == nil || !strings.Contains(err.Error(), c.want):
				t.Errorf("error %.100v, want %q", err, c.want)
			}
		})
	}
}

func TestHangUp(t *testing.T) {
	m := connect(t, func(q *fakeQMP) {
		q.shake()
		q.say(shutdownLine)
		q.hear()
		q.conn.Close()
	})
	err := m.execute(t.Context(), "x", nil, nil)
	if blame.Of(err) != blame.Infrastructure || !errors.Is(err, errMonitorClosed) {
		t.Errorf("during a command: %v", err)
	}
	if err := m.execute(t.Context(), "y", nil, nil); blame.Of(err) != blame.Infrastructure {
		t.Errorf("after it: %v", err)
	}
	if e, ok := <-m.events; !ok || e.Name != "SHUTDOWN" {
		t.Errorf("event %+v, %v", e, ok)
	}
	if e, ok := <-m.events; ok {
		t.Errorf("event %+v after the end", e)
	}
}

func TestEndlessLine(t *testing.T) {
	m := connect(t, func(q *fakeQMP) {
		q.shake()
		q.hear()
		chunk := []byte(strings.Repeat("a", 1<<20))
		for range maxLine>>20 + 1 {
			if _, err := q.conn.Write(chunk); err != nil {
				return
			}
		}
	})
	if err := m.execute(t.Context(), "x", nil, nil); err == nil || !strings.Contains(err.Error(), "QMP line of more than") {
		t.Errorf("%v", err)
	}
}

func TestHandshakeFails(t *testing.T) {
	for _, c := range []struct {
		name string
		play func(q *fakeQMP)
		want string
	}{
		{"silence", func(q *fakeQMP) { q.hear() }, "deadline exceeded"},
		{"silence after the greeting", func(q *fakeQMP) { q.say(greeting); q.hear(); q.hear() }, "deadline exceeded"},
		{"another server", func(q *fakeQMP) { q.say("220 mail ESMTP"); q.hear() }, "QMP line"},
		{"hang-up", func(q *fakeQMP) { q.conn.Close() }, "closed the connection"},
		{"refusal", func(q *fakeQMP) {
			q.say(greeting)
			q.hear()
			q.say(`{"error": {"class": "CommandNotFound", "desc": "only once"}}`)
			q.hear()
		}, "only once"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := shortDir(t)
			patience := time.Minute // only silence is ended by time
			if strings.HasPrefix(c.name, "silence") {
				patience = 100 * time.Millisecond
			}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			m, err := dialMonitor(ctx, fake(t, c.play), filepath.Join(dir, "r"))
			if err == nil {
				m.close()
				t.Fatal("connected")
			}
			if !strings.Contains(err.Error(), c.want) || blame.Of(err) != blame.Infrastructure {
				t.Errorf("error %q, want %q", err, c.want)
			}
			if left, _ := os.ReadDir(dir); len(left) > 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestCommandsFromManySides(t *testing.T) {
	m := connect(t, func(q *fakeQMP) {
		q.shake()
		for {
			command, id := q.hear()
			if command == "" {
				return
			}
			q.say(`{"return": %q, "id": %q}`, command, id)
		}
	})
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			for j := range 20 {
				command, got := fmt.Sprintf("c-%d-%d", i, j), ""
				if err := m.execute(t.Context(), command, nil, &got); err != nil || got != command {
					t.Errorf("%s: %q, %v", command, got, err)
				}
			}
		})
	}
	all.Wait()
}

// A line is greeting, event, reply or an error; an event that go-qemu decodes gives one of ours.
func FuzzQMPLine(f *testing.F) {
	f.Add([]byte(greeting))
	f.Add([]byte(shutdownLine))
	f.Add([]byte(`{"return": {}, "id": "1"}`))
	f.Add([]byte(`{"event": "RESET", "data": {"reason": 7, "guest": "no"}, "timestamp": {"seconds": 9223372036854775807, "microseconds": -5}}`))
	f.Add([]byte(`{"error": {"class": 1}, "id": {}}`))
	f.Fuzz(func(t *testing.T, line []byte) {
		m, err := classify(line)
		if err != nil && m != (message{}) {
			t.Errorf("%+v and error %v", m, err)
		}
		if err == nil && !json.Valid(line) {
			t.Error("took what is no JSON")
		}
		var e qmp.Event
		if json.Unmarshal(line, &e) == nil {
			if got := eventFrom(e); got.Name != e.Event || got.Data != nil && !json.Valid(got.Data) {
				t.Errorf("event %+v", got)
			}
		}
		var out any
		_ = decodeReply("x", line, &out)
	})
}
