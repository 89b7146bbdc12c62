package bisect

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"

	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/kernels/kconfig"
)

// Whatever set of items is at fault together, reduce finds it, and in few tests where it is one item.
func TestReduce(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 9))
	for range 200 {
		n := 1 + r.IntN(100)
		items := make([]int, n)
		for i := range items {
			items[i] = i
		}
		want := map[int]bool{}
		for range 1 + r.IntN(3) {
			want[r.IntN(n)] = true
		}
		tests := 0
		got, err := reduce(context.Background(), items, func(_ context.Context, part []int) (Outcome, error) {
			tests++
			for w := range want {
				if !slices.Contains(part, w) {
					return Lives, nil
				}
			}
			return Dies, nil
		})
		if err != nil || len(got) != len(want) || !want[got[0]] {
			t.Errorf("%v of %d, want %v: %v", got, n, want, err)
		}
		if len(want) == 1 && tests > 2*8 {
			t.Errorf("%d tests for one of %d", tests, n)
		}
	}
}

func config(t *testing.T, text string) kconfig.Config {
	t.Helper()
	c, err := kconfig.Parse(strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// A symbol that only takes with another one: both are found, because kconfig drops it alone.
func TestConfigSearch(t *testing.T) {
	var good, bad strings.Builder
	for i := range 30 {
		fmt.Fprintf(&good, "CONFIG_S%d=n\n", i)
		fmt.Fprintf(&bad, "CONFIG_S%d=y\n", i)
	}
	good.WriteString("CONFIG_NR=8\nCONFIG_GONE=y\n")
	bad.WriteString("CONFIG_NR=64\n")
	all := changes(config(t, good.String()), config(t, bad.String()))
	if len(all) != 32 || all[30] != (change{"NR", "8", "64"}) || all[31] != (change{"GONE", "y", "n"}) {
		t.Fatalf("%d changes: %v", len(all), all[len(all)-2:])
	}
	for _, c := range []struct {
		name    string
		dies    func(kconfig.Config) bool
		symbols []string
	}{
		{"one", func(c kconfig.Config) bool { return c.Enabled("S7") }, []string{"CONFIG_S7=y (good: n)"}},
		{"a number", func(c kconfig.Config) bool { return c.Value("NR") == "64" }, []string{"CONFIG_NR=64 (good: 8)"}},
		{"one that is off", func(c kconfig.Config) bool { return !c.Enabled("GONE") }, []string{"CONFIG_GONE=n (good: y)"}},
		{"with its dependency", func(c kconfig.Config) bool { return c.Enabled("S20") && c.Enabled("S3") }, []string{"CONFIG_S3=y (good: n)", "CONFIG_S20=y (good: n)"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			builds := 0
			s := &configSearch{good: config(t, good.String()), dir: t.TempDir()}
			s.build = func(_ context.Context, base string) (Kernel, error) {
				builds++
				data, err := os.ReadFile(base)
				if err != nil {
					return Kernel{}, err
				}
				conf, err := kconfig.Parse(bytes.NewReader(data))
				if err != nil {
					return Kernel{}, err
				}
				if conf.Enabled("S11") && !conf.Enabled("S12") {
					return Kernel{}, blame.New(blame.Build, "configure: S11 needs S12", "")
				}
				k := Kernel{Built: true}
				if c.dies(conf) {
					k.Plan.Kernel = "dies"
				}
				return k, nil
			}
			r := &Runner{Options: Options{Match: MatchSignature, Confidence: 0.99}, Graph: &Graph{}, Lab: Lab{
				Boot: func(_ context.Context, _ string, k Kernel, _ int) (verdict.Result, error) {
					if k.Plan.Kernel == "dies" {
						return verdict.Result{Verdict: verdict.Bad, Signature: theBug}, nil
					}
					return verdict.Result{Verdict: verdict.Good}, nil
				}}}
			out, err := s.search(context.Background(), r, all)
			if err != nil || !slices.Equal(out.Symbols, c.symbols) || out.ExitCode() != 0 || out.Verified.Revert != "good" {
				t.Errorf("%v, revert %s, exit %d in %d builds: %s %v", out.Symbols, out.Verified.Revert, out.ExitCode(), builds, out.Reason, err)
			}
		})
	}
}
