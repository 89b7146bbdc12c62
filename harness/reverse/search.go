package reverse

import (
	"context"
	"fmt"
)

// hit is where the machine stopped at a break or watch point, as gdb is to see it going backward.
type hit struct {
	found bool
	at    int64  // the instruction to stand before
	watch string // the pair of the stop for a watch point, "watch:ffff…;"; empty for a breakpoint
}

// most is how many stops one pass notes before it looks whether there are any further on: a breakpoint may be passed a million times.
const most = 200

// last finds the last stop before an instruction.
func (s *Session) last(ctx context.Context, before int64) (hit, error) {
	return s.lastIn(ctx, 0, before)
}

// lastIn finds the last stop in [from, before).
func (s *Session) lastIn(ctx context.Context, from, before int64) (hit, error) {
	var found hit
	err := s.try(ctx, from, func(p *player) error {
		var err error
		if found, err = s.lastOf(ctx, p, before); err == nil {
			p.end()
		}
		return err
	})
	return found, err
}

// lastOf is lastIn from where a player stands, which may have been ended when it returns.
func (s *Session) lastOf(ctx context.Context, p *player, before int64) (hit, error) {
	seen, at, err := s.pass(ctx, p, before)
	if err != nil || at >= before {
		return seen, err
	}
	// There are many: those of the last quarter, then those between.
	further := at + (before-at)*3/4
	if further > at {
		if err := p.playTo(ctx, further); err != nil {
			return hit{}, err
		}
	}
	if late, err := s.lastOf(ctx, p, before); err != nil || late.found {
		return late, err
	}
	p.end() // else one would wait in each round of the search
	if further > at {
		if between, err := s.lastIn(ctx, at, further); err != nil || between.found {
			return between, err
		}
	}
	return seen, nil
}

// pass plays with gdb's points in, to an instruction or through as many stops as are noted in one pass. It returns the last of them, and
// where the machine is. The points are out again.
//
// A breakpoint's stop is before its instruction. A watch point's is behind the instruction that wrote; going backward gdb wants to stand before
// it, where the value is the old one.
func (s *Session) pass(ctx context.Context, p *player, before int64) (last hit, at int64, err error) {
	if at, err = p.at(ctx); err != nil || at >= before {
		return hit{}, at, err
	}
	if err := p.points(ctx, 'Z', s.points); err != nil {
		return hit{}, 0, err
	}
	if err := p.stopAt(ctx, before); err != nil {
		return hit{}, 0, err
	}
	for range most {
		was := at
		var watch string
		for _, packet := range []string{"c", "s"} { // on, and off the breakpoint
			stop, err := p.resume(ctx, packet, nil)
			if err != nil {
				return hit{}, 0, err
			}
			if at, err = p.at(ctx); err != nil {
				return hit{}, 0, err
			}
			watch = watched(stop)
			if packet == "c" && watch == "" && at < before {
				last = hit{found: true, at: at}
			} else if watch != "" && at-1 < before {
				last = hit{found: true, at: at - 1, watch: watch}
			}
			if at >= before || watch != "" {
				break
			}
		}
		if at >= before {
			break
		}
		if at == was {
			return hit{}, 0, fmt.Errorf("%w at instruction %d", errStands, at)
		}
	}
	return last, at, p.points(ctx, 'z', s.points)
}

// watched is the pair of a stop that names a watch point.
func watched(stop string) string {
	for _, kind := range []string{"watch", "rwatch", "awatch"} {
		if pair := field(stop, kind); pair != "" {
			return pair
		}
	}
	return ""
}

// points inserts (Z) or removes (z) points, "1,ffffffff81000000,1".
func (p *player) points(ctx context.Context, letter byte, points []string) error {
	for _, point := range points {
		if reply, err := p.ask(ctx, string(letter)+point, nil); err != nil {
			return err
		} else if reply != "OK" && letter == 'Z' {
			return fmt.Errorf("QEMU refuses the break point %s: %q", point, reply)
		}
	}
	return nil
}
