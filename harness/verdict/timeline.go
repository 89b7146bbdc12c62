package verdict

import "slices"

// Mark is a moment of a boot as it was seen from outside, without a stop: a stage that had begun, or, with Event, something that
// was seen within one. A stage that was over between two looks has no mark. The first mark is the firmware's, at 0.
type Mark struct {
	// Stage is a [Stage], or one of the events MarkConsole, MarkInit and MarkEnd.
	Stage string `json:"stage"`
	// Seconds since QEMU was let go, by the host's clock, when it was first seen. The time for which the machine stood at a breakpoint or
	// while it was examined is not counted.
	Seconds float64 `json:"seconds"`
	// Within is the precision: it happened at most so many seconds before Seconds, at the earliest after the look before. As a rule
	// 0.002 for what is read in memory and 0.02 for the decompressor, which is seen in the vCPU's registers; more on a host that is
	// too busy to look. 0 is exact.
	Within float64 `json:"within"`
	Event  bool    `json:"event,omitempty"`
}

// The events of a timeline: the first byte on the serial line; init's first word, or the kernel's that it runs an init of somebody
// else's; the end of the boot.
const (
	MarkConsole = "console"
	MarkInit    = "init-ran"
	MarkEnd     = "end"
)

// Span is how long a boot was in a stage.
type Span struct {
	Stage   Stage
	Begin   float64 // seconds, as in Mark
	Seconds float64
	Within  float64 // Seconds may be wrong by so much, either way: the worse of the two looks
}

// Spans are the stages of a timeline with their lengths, in their order. Stages that nobody knows and marks out of order are left
// out: a timeline may be read from a file. The last stage ends at MarkEnd; without that it has no length and is left out.
func Spans(marks []Mark) []Span {
	var spans []Span
	end := func(m Mark) {
		if n := len(spans); n > 0 {
			s := &spans[n-1]
			s.Seconds, s.Within = m.Seconds-s.Begin, max(s.Within, m.Within)
		}
	}
	at, last, ended := -1, 0.0, false
	for _, m := range marks {
		if !(m.Seconds >= last) || !(m.Within >= 0) || ended { // NaN is in no JSON, but this is cheaper than to rely on it
			continue
		}
		if m.Event {
			if m.Stage == MarkEnd {
				end(m)
				ended = true
			}
			continue
		}
		if i := slices.Index(Stages(), Stage(m.Stage)); i > at {
			end(m)
			spans = append(spans, Span{Stage: Stage(m.Stage), Begin: m.Seconds, Within: m.Within})
			at, last = i, m.Seconds
		}
	}
	if !ended && len(spans) > 0 {
		spans = spans[:len(spans)-1]
	}
	return spans
}
