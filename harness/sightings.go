package harness

import (
	"maps"

	"kcatch/gdb/amd64"
	"kcatch/gdb/linux"
	"kcatch/harness/watch"
)

// sightings is what some loads read last in a boot, by breakpoints at them.
type sightings struct {
	loads map[uint64]linux.Load // by pc
	seen  map[uint64]sighting
	was   map[uint64]sighting // seen at the last moment that may have been the death
	hits  map[uint64]int      // by pc
	count int                 // of all
	ended bool
}

// sighting is a load that is about to run.
type sighting struct {
	n    int // of all sightings
	addr uint64
	load linux.Load
	// sampled says that the load, or another that may have brought the same value, ran too often to be seen each time: what was
	// seen last may not be what it read last.
	sampled bool
}

// maxSightings is how many runs of one load are all looked at; later ones now and then, see watch.Rest.
const maxSightings = 4096

// begin gives the breakpoints.
func (s *sightings) begin(groups [][]linux.Load) (breaks []uint64) {
	s.loads, s.seen, s.hits = map[uint64]linux.Load{}, map[uint64]sighting{}, map[uint64]int{}
	for _, g := range groups {
		for _, l := range g {
			if _, ok := s.loads[l.PC]; !ok {
				s.loads[l.PC] = l
				breaks = append(breaks, l.PC)
			}
		}
	}
	return breaks
}

func (s *sightings) saw(_ int, regs amd64.Registers) watch.Next {
	if s.ended {
		return watch.Drop
	}
	l, ok := s.loads[regs.RIP]
	if !ok {
		return watch.Keep
	}
	s.count++
	s.hits[l.PC]++
	if addr, ok := l.Address(regs); ok {
		s.seen[l.PC] = sighting{n: s.count, addr: addr, load: l}
	}
	if s.hits[l.PC] > maxSightings {
		return watch.Rest
	}
	return watch.Keep
}

// cut marks a moment that may be the death, or is.
func (s *sightings) cut(end bool) {
	if !s.ended {
		s.was, s.ended = maps.Clone(s.seen), end
	}
}

// last is what the load of a group that ran last read.
func (s *sightings) last(group []linux.Load, atCut bool) (found sighting, ok bool) {
	seen := s.seen
	if (atCut || s.ended) && s.was != nil {
		seen = s.was
	}
	sampled := false
	for _, l := range group {
		sampled = sampled || s.hits[l.PC] > maxSightings
		if at, is := seen[l.PC]; is && (!ok || at.n > found.n) {
			found, ok = at, true
		}
	}
	found.sampled = sampled
	return found, ok
}
