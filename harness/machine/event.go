package machine

import (
	"encoding/json"
	"time"

	"github.com/digitalocean/go-qemu/qmp"
)

// Event is something that QEMU reports unasked. Of use here: SHUTDOWN (Reason guest-reset, guest-shutdown,
// guest-panic, host-qmp-quit…), RESET, STOP, RESUME, GUEST_PANICKED, WATCHDOG. Source: QEMU qapi/run-state.json.
type Event struct {
	Name   string
	Reason string // data.reason; empty where there is none
	Guest  bool   // data.guest: the guest caused it, not the host
	Time   time.Time
	Data   json.RawMessage // the data object, keys sorted; nil where there is none
}

func eventFrom(e qmp.Event) Event {
	out := Event{Name: e.Event}
	// QEMU writes -1 for a time it does not know.
	if s, us := e.Timestamp.Seconds, e.Timestamp.Microseconds; s > 0 && us >= 0 {
		out.Time = time.Unix(s, 0).Add(time.Duration(us%1_000_000) * time.Microsecond)
	}
	out.Reason, _ = e.Data["reason"].(string)
	out.Guest, _ = e.Data["guest"].(bool)
	if e.Data != nil {
		out.Data, _ = json.Marshal(e.Data) // cannot fail: it was decoded from JSON
	}
	return out
}
