package verdict

import "time"

// CacheSchema names the form of [Cache].
const CacheSchema = "kcatch/cache/v1"

// Cache is what is kept in the user's cache directory, or what of it was removed.
type Cache struct {
	Schema  string       `json:"schema"`
	Dir     string       `json:"dir"`
	Entries []CacheEntry `json:"entries"` // by kind, of a kind the one that was used last first
	Bytes   int64        `json:"bytes"`   // on disk, all entries
	Removed []CacheEntry `json:"removed,omitempty"`
	DryRun  bool         `json:"dry_run,omitempty"` // what is in Removed is still there
}

// CacheEntry is what is removed as a whole.
type CacheEntry struct {
	Kind  string    `json:"kind"` // source, objects, build, package, history, modules, log, memo, leftover
	Name  string    `json:"name"`
	What  string    `json:"what,omitempty"`
	Path  string    `json:"path"`
	Bytes int64     `json:"bytes"` // on disk; what two entries share counts for the first
	Used  time.Time `json:"used"`
	InUse bool      `json:"in_use,omitempty"` // a running kcatch has it, and it is not removed
}

// Freed is how many bytes the removed entries had.
func (c *Cache) Freed() int64 {
	var n int64
	for _, e := range c.Removed {
		n += e.Bytes
	}
	return n
}
