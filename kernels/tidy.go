package kernels

import (
	"os"
	"path/filepath"
	"sort"
	"time"
)

// What tidy keeps. A tiny kernel's entry has 150 MB, a distribution's 600.
const (
	keptBuilds = 32             // entries, at least
	inUse      = 24 * time.Hour // what was used or written since is never touched: another kcatch may have it open
	keptMemos  = 30 * 24 * time.Hour
)

// tidy removes from the cache what processes that were killed left behind, and the builds that were used longest ago. It is called after
// a build of minutes and is best effort: what cannot be removed now is removed another time.
func tidy(cache string, now time.Time) {
	older := func(pattern string, age time.Duration) (list []string) {
		names, _ := filepath.Glob(filepath.Join(cache, pattern))
		for _, name := range names {
			if st, err := os.Lstat(name); err == nil && now.Sub(st.ModTime()) > age {
				list = append(list, name)
			}
		}
		return list
	}
	for _, pattern := range []string{"builds/.tmp-*", "patch-*", "memo/.tmp-*"} {
		for _, name := range older(pattern, inUse) {
			_ = os.RemoveAll(name)
		}
	}
	for _, name := range older("memo/*", keptMemos) {
		_ = os.Remove(name)
	}
	for _, name := range older("logs/*", keptMemos) {
		_ = os.Remove(name)
	}
	builds := older("builds/[0-9a-f]*", inUse)
	all, _ := filepath.Glob(filepath.Join(cache, "builds/[0-9a-f]*"))
	surplus := len(all) - keptBuilds
	used := map[string]time.Time{}
	for _, name := range builds {
		if st, err := os.Lstat(name); err == nil {
			used[name] = st.ModTime()
		}
	}
	sort.Slice(builds, func(i, j int) bool { return used[builds[i]].Before(used[builds[j]]) })
	for _, name := range builds[:max(0, min(surplus, len(builds)))] {
		// Renamed first, so that nobody finds half an entry.
		if held(filepath.Join(name, recordName)) {
			continue
		}
		gone := filepath.Join(filepath.Dir(name), ".tmp-"+filepath.Base(name))
		if os.Rename(name, gone) == nil {
			_ = os.RemoveAll(gone)
		}
	}
}
