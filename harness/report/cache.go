package report

import (
	"fmt"
	"io"
	"strings"
	"time"

	"kcatch/harness/verdict"
)

// CacheText writes what is in the cache, an entry a line: kind, size, how long ago it was used, name and what it is.
func CacheText(w io.Writer, c *verdict.Cache, now time.Time, s Style) error {
	var b strings.Builder
	if len(c.Entries) > 0 {
		fmt.Fprintf(&b, "%s\n", s.dim(fmt.Sprintf("%-9s %9s  %-8s  %s", "kind", "size", "used", "name")))
	}
	cacheRows(&b, c.Entries, now, s)
	fmt.Fprintf(&b, "%s in %s\n", Size(c.Bytes), Clean(c.Dir, 0))
	_, err := io.WriteString(w, b.String())
	return err
}

// PrunedText writes what was removed, or would be.
func PrunedText(w io.Writer, c *verdict.Cache, now time.Time, s Style) error {
	var b strings.Builder
	cacheRows(&b, c.Removed, now, s)
	did := "removed"
	if c.DryRun {
		did = "would remove"
	}
	fmt.Fprintf(&b, "%s %s of %s in %s\n", did, Size(c.Freed()), Size(c.Bytes), Clean(c.Dir, 0))
	_, err := io.WriteString(w, b.String())
	return err
}

// cacheRows writes a line for each entry; the many small ones of a kind that follow each other have one line together.
func cacheRows(b *strings.Builder, entries []verdict.CacheEntry, now time.Time, s Style) {
	entries = folded(entries)
	width := 0
	for _, e := range entries {
		width = min(max(width, len(e.Name)), maxCacheName)
	}
	for _, e := range entries {
		what := s.dim(Clean(e.What, 100))
		if e.InUse {
			what += s.warn("  in use")
		}
		fmt.Fprintf(b, "%-9s %9s  %-8s  %-*s  %s\n", e.Kind, Size(e.Bytes), ago(now.Sub(e.Used)), width, Clean(e.Name, 80), what)
	}
}

// maxCacheName is how wide the names of the list are at most; a longer one has its line pushed to the right.
const maxCacheName = 40

// folded puts neighbours of a kind that are small into one: there are hundreds of memos, of a few kB.
func folded(entries []verdict.CacheEntry) []verdict.CacheEntry {
	var out []verdict.CacheEntry
	n := 0 // how many the last one is
	for _, e := range entries {
		last := len(out) - 1
		if last < 0 || e.Bytes >= smallEntry || out[last].Kind != e.Kind || n == 1 && out[last].Bytes >= smallEntry {
			out, n = append(out, e), 1
			continue
		}
		n++
		out[last].Name, out[last].Bytes, out[last].InUse = fmt.Sprintf("%d of them", n), out[last].Bytes+e.Bytes, out[last].InUse || e.InUse
		if e.Used.After(out[last].Used) {
			out[last].Used = e.Used
		}
	}
	return out
}

const smallEntry = 1 << 20

// Size is a number of bytes for a person, by powers of 1024: "1.4 GB", "150 MB", "12 kB".
func Size(n int64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%d MB", (n+1<<19)>>20)
	}
	return fmt.Sprintf("%d kB", (n+1<<10-1)>>10)
}

// ago is how long ago something was, in its largest unit.
func ago(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "now"
	case d < 2*time.Hour:
		return fmt.Sprintf("%d min", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%d h", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

// CacheJSON writes c like [JSON].
func CacheJSON(w io.Writer, c *verdict.Cache) error { return encode(w, c) }
