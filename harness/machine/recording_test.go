package machine

import (
	"strings"
	"testing"

	"kcatch/internal/blame"
)

func TestRecordingArgv(t *testing.T) {
	for play, want := range map[bool]string{
		false: " -icount shift=5,sleep=off,rr=record,rrfile=/a,,b/replay.bin -rtc base=2024-01-01T00:00:00,clock=vm -seed 1 ",
		true:  " -icount shift=5,sleep=off,rr=replay,rrfile=/a,,b/replay.bin -rtc base=2024-01-01T00:00:00,clock=vm -seed 1 ",
	} {
		s := Spec{Kernel: "k", Recording: &Recording{Log: "/a,b/replay.bin", Play: play}}
		if got := strings.Join(s.Argv(), " "); !strings.Contains(got, want) {
			t.Errorf("play %t: %s", play, got)
		}
		if err := s.Validate(); err != nil {
			t.Error(err)
		}
	}
	for _, s := range []Spec{{Accel: KVM, Recording: &Recording{}}, {CPUs: 2, Recording: &Recording{}}, {Recording: &Recording{Log: "a\x00b"}}} {
		if err := s.Validate(); blame.Of(err) != blame.Usage {
			t.Errorf("%+v: %v", s, err)
		}
	}
}
