package cache

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// A shelf is a directory of the cache, and what its entries are.
type shelf struct {
	kind, dir, text string
	is              func(name string) bool    // the names that are entries; others are somebody else's
	lock            func(entry string) string // the lock file of an entry; nil: none
	what            func(entry string) string // in words, in the place of text
	// keep is a name in an entry that stays when it is removed: a lock that others may wait for.
	keep string
	// young entries are in use: nobody locks them.
	young time.Duration
}

// aDay is how long kernels lets lie what a running build may have.
const aDay = 24 * time.Hour

const ofTheKilled = "of a kcatch that was killed"

// shelves in the order of the list. Where two entries share a file (objects have links to their source), the first has its size.
func shelves() []shelf {
	return []shelf{
		{kind: "source", dir: "sources", is: isSource, lock: beside, text: "a kernel's source, unpacked"},
		{kind: "objects", dir: "slots", is: isAny, lock: inside, keep: lockName, what: objectTrees},
		{kind: "build", dir: "builds", is: matches(`^[0-9a-f]{8,}$`), lock: record, what: release},
		{kind: "package", dir: "packages", is: isAny, text: "a distribution's kernel, for tests"},
		{kind: "history", dir: "bisect", is: isAny, lock: inside, keep: lockName, text: "the private clone of a bisection"},
		{kind: "modules", dir: "modules", is: matches(`\.cpio$`), text: "an archive of modules for a guest"},
		{kind: "memo", dir: "memo", is: isAny, text: "what was asked before, and its answer"},
		{kind: "memo", dir: ".", is: matches(`^kvm-[0-9a-f]+\.json$`), text: "how KVM did when it was tried out"},
		{kind: "log", dir: "logs", is: isAny, young: aDay, text: "of a build that failed"},
		{kind: "leftover", dir: "builds", is: matches(`^\.tmp-`), young: aDay, text: ofTheKilled},
		{kind: "leftover", dir: "sources", is: matches(`\.(tmp|deb)$`), young: aDay, text: ofTheKilled},
		{kind: "leftover", dir: ".", is: matches(`^patch-[0-9]+$`), young: aDay, text: ofTheKilled},
	}
}

// Kinds are the kinds of entries, in their order.
func Kinds() []string {
	var kinds []string
	for _, s := range shelves() {
		if len(kinds) == 0 || kinds[len(kinds)-1] != s.kind {
			kinds = append(kinds, s.kind)
		}
	}
	return kinds
}

func isAny(name string) bool { return !strings.HasPrefix(name, ".") }

func isSource(name string) bool {
	switch filepath.Ext(name) {
	case ".lock", ".tmp", ".deb":
		return false
	}
	return isAny(name)
}

func matches(pattern string) func(string) bool { return regexp.MustCompile(pattern).MatchString }

// lockName is the lock in an entry.
const lockName = "lock"

func beside(entry string) string { return entry + ".lock" }
func inside(entry string) string { return filepath.Join(entry, lockName) }
func record(entry string) string { return filepath.Join(entry, "build.json") }

// objectTrees says how many configurations a slot has objects of.
func objectTrees(entry string) string {
	trees, _ := filepath.Glob(filepath.Join(entry, "obj-*")) // fails for a bad pattern only
	if len(trees) == 1 {
		return "a private source, and the objects of one configuration"
	}
	return fmt.Sprintf("a private source, and the objects of %d configurations", len(trees))
}

// release is what a build is of.
func release(entry string) string {
	data, err := os.ReadFile(record(entry))
	var r struct {
		Release, Source string
		Make            []string
	}
	if err != nil || json.Unmarshal(data, &r) != nil {
		return "a kernel that is not whole"
	}
	kind, of, _ := strings.Cut(r.Source, ":")
	what := r.Release + " of " + of
	if kind != "deb" {
		what = fmt.Sprintf("%s of a %s, %.12s", r.Release, kind, of)
	}
	if len(r.Make) > 0 {
		what += ", " + strings.Join(r.Make, " ")
	}
	return what
}
