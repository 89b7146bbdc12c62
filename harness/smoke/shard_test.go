package smoke

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"kcatch/internal/blame"
)

func TestParseShard(t *testing.T) {
	for text, want := range map[string]Shard{"": {}, "1/1": {1, 1}, "2/5": {2, 5}, "1000/1000": {1000, 1000}} {
		if got, err := ParseShard(text); got != want || err != nil || got.String() != text {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
	for _, text := range []string{"0/2", "3/2", "-1/2", "1", "1/", "/2", "a/b", "1/2/3", "1/1001", "1/0", " 1/2", "1/99999999999999999999"} {
		if got, err := ParseShard(text); blame.Of(err) != blame.Usage || got != (Shard{}) {
			t.Errorf("%q: %v, %v", text, got, err)
		}
	}
}

// TestShardsAreAllCells: of matrices and durations by chance, all shards together are all cells, each once and in its order, however the
// cells are ordered; and no shard is longer than Graham's bound.
func TestShardsAreAllCells(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range 300 {
		var cells []Cell
		known := map[string]time.Duration{}
		var total, longest time.Duration
		for i := range rng.IntN(40) {
			name := fmt.Sprintf("k%d/m", i)
			cells = append(cells, Cell{Name: name})
			known[name] = time.Duration(1+rng.IntN(100)) * time.Second
			total, longest = total+known[name], max(longest, known[name])
		}
		of := 1 + rng.IntN(8)
		mixed := slices.Clone(cells)
		rng.Shuffle(len(mixed), func(i, j int) { mixed[i], mixed[j] = mixed[j], mixed[i] })
		seen := map[string]int{}
		for i := 1; i <= of; i++ {
			part := Shard{i, of}.Take(cells, known)
			var load time.Duration
			at := -1
			for _, c := range part {
				seen[c.Name]++
				load += known[c.Name]
				n := slices.IndexFunc(cells, func(o Cell) bool { return o.Name == c.Name })
				if n <= at {
					t.Fatalf("round %d: %s is out of its order", round, c.Name)
				}
				at = n
			}
			if load > total/time.Duration(of)+longest {
				t.Fatalf("round %d: shard %d/%d has %v of %v", round, i, of, load, total)
			}
			other := Shard{i, of}.Take(mixed, known)
			slices.SortFunc(other, func(a, b Cell) int {
				return slices.IndexFunc(cells, func(c Cell) bool { return c.Name == a.Name }) - slices.IndexFunc(cells, func(c Cell) bool { return c.Name == b.Name })
			})
			if namesOf(other) != namesOf(part) {
				t.Fatalf("round %d: the order of the cells matters: %s and %s", round, namesOf(part), namesOf(other))
			}
		}
		for _, c := range cells {
			if seen[c.Name] != 1 {
				t.Fatalf("round %d: %s is in %d shards", round, c.Name, seen[c.Name])
			}
		}
	}
}

// TestShardIsBalanced: one long cell weighs as much as the short ones together, and one that is not known as much as most.
func TestShardIsBalanced(t *testing.T) {
	cells := matrix("a/x", "b/x", "c/x", "d/x", "new/x")
	known := map[string]time.Duration{"a/x": 40 * time.Second, "b/x": 10 * time.Second, "c/x": 10 * time.Second, "d/x": 10 * time.Second}
	if got := namesOf(Shard{1, 2}.Take(cells, known)); got != "a/x" {
		t.Errorf("the first has %s", got)
	}
	if got := namesOf(Shard{2, 2}.Take(cells, known)); got != "b/x c/x d/x new/x" {
		t.Errorf("the second has %s", got)
	}
	if a, b := namesOf(Shard{1, 2}.Take(cells, nil)), namesOf(Shard{2, 2}.Take(cells, nil)); a != "a/x c/x new/x" || b != "b/x d/x" {
		t.Errorf("of equals: %s and %s", a, b)
	}
	if got := (Shard{7, 9}).Take(cells, nil); len(got) != 0 {
		t.Errorf("more shards than cells: %v", got)
	}
}

// TestForShards: what it is that a matrix is split by is said.
func TestForShards(t *testing.T) {
	known := map[string]time.Duration{"a/x": time.Second}
	if with, without := ForShards(known), ForShards(nil); !strings.Contains(with, "baseline") || !strings.Contains(without, "number") {
		t.Errorf("%q, %q", with, without)
	}
}

// TestBaselineDurations: the last boot of each cell of a whole run. What one part took is not known to the other parts.
func TestBaselineDurations(t *testing.T) {
	for text, want := range map[string]string{
		`{"schema":"kcatch/smoke/v1","cells":[{"name":"a","tries":[{"seconds":1},{"seconds":2.5}]},{"name":"b"},{"name":"c","tries":[{"seconds":-1}]}]}`: "map[a:2.5s]",
		`{"schema":"kcatch/smoke/v1","shard":"1/2","cells":[{"name":"a","tries":[{"seconds":1}]}]}`:                                                      "map[]",
		`{"schema":"kcatch/result/v1"}`: "map[]", "no JSON": "map[]",
	} {
		path := filepath.Join(t.TempDir(), "base.json")
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		if got := fmt.Sprint(BaselineDurations(path)); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
	if got := BaselineDurations(t.TempDir()); got != nil {
		t.Errorf("of a directory: %v", got)
	}
}
