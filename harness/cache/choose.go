package cache

import (
	"slices"
	"time"

	"kcatch/harness/verdict"
)

// Policy says what should go. The zero Policy lets everything stay.
type Policy struct {
	All   bool
	Older time.Duration // what was not used for so long; 0: no such limit
	// Limited says that the cache should shrink to Size bytes: what was used longest ago goes first.
	Limited bool
	Size    int64
	Kinds   []string // only these; nil: all of them. Size is still that of the whole cache
}

// Choose picks what goes of a cache, in the order in which it goes: what was used longest ago first. Nothing in use is picked, so that the
// cache may stay larger than it should be.
func Choose(c verdict.Cache, p Policy, now time.Time) []verdict.CacheEntry {
	var may []verdict.CacheEntry
	for _, e := range c.Entries {
		if !e.InUse && (p.Kinds == nil || slices.Contains(p.Kinds, e.Kind)) {
			may = append(may, e)
		}
	}
	slices.SortStableFunc(may, func(a, b verdict.CacheEntry) int { return a.Used.Compare(b.Used) })
	var gone []verdict.CacheEntry
	left := c.Bytes
	for _, e := range may {
		if p.All || p.Older > 0 && now.Sub(e.Used) > p.Older || p.Limited && left > p.Size {
			gone = append(gone, e)
			left -= e.Bytes
		}
	}
	return gone
}
