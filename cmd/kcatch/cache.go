package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"kcatch/harness/cache"
	"kcatch/harness/report"
	"kcatch/harness/verdict"
	"kcatch/internal/blame"
	"kcatch/internal/nearest"
	"kcatch/kernels"
)

const cacheLong = `What kcatch keeps in the user's cache directory (XDG_CACHE_HOME/kcatch, or ~/.cache/kcatch): unpacked kernel sources,
private copies of trees with their objects, finished kernels. All of it can be made or downloaded again.`

const pruneLong = `Remove what was used longest ago from the cache: by age (--older), until it is small enough (--size), or all of it (--all).
What a running kcatch uses stays. --dry-run says what would go, and removes nothing.

A source costs its download again, objects the first build of their tree (minutes), a build its make, which is short while
its objects are there.

Exit codes: 0 done, 129 usage, 130 interrupted, 131 infrastructure.`

const pruneExample = `  kcatch cache prune --older 30d
  kcatch cache prune --size 10G --dry-run
  kcatch cache prune --all --kind build --kind objects`

func cacheCommand(stdout io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:     "cache",
		Short:   "what the cache has, and removing it",
		Long:    cacheLong,
		Example: "  kcatch cache ls\n" + pruneExample,
		Args:    cobra.ArbitraryArgs,
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) > 0 {
			return unknownVerb(cmd, args[0])
		}
		return cmd.Help()
	}
	cmd.AddCommand(cacheListCommand(stdout), cachePruneCommand(stdout))
	return cmd
}

// cacheFlags are those of both verbs.
type cacheFlags struct {
	json string
	appearance
}

func (f *cacheFlags) bind(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.json, "json", "", "write kcatch/cache/v1 to a `FILE`, or to standard output with -")
	f.bindAppearance(cmd)
}

func (f *cacheFlags) show(stdout io.Writer, c *verdict.Cache, text func(io.Writer, *verdict.Cache, time.Time, report.Style) error) error {
	var errs []error
	if f.json != "" {
		errs = append(errs, writeTo(f.json, stdout, func(w io.Writer) error { return report.CacheJSON(w, c) }))
	}
	if f.json != "-" {
		errs = append(errs, text(stdout, c, time.Now(), f.style(stdout)))
	}
	return errors.Join(errs...)
}

func cacheListCommand(stdout io.Writer) *cobra.Command {
	var flags cacheFlags
	cmd := &cobra.Command{
		Use:   "ls",
		Short: "what the cache has: kind, size on disk, when it was last used",
		Long: `List what the cache has, by kind: size on disk, how long ago it was last used, name and what it is. A file that two entries
share counts for the first of them.`,
		Example: "  kcatch cache ls\n  kcatch cache ls --json - | jq .bytes",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkFile("--json", flags.json); err != nil {
				return err
			}
			c, err := listCache(cmd.Context())
			if err != nil {
				return err
			}
			return flags.show(stdout, &c, report.CacheText)
		},
	}
	flags.bind(cmd)
	return cmd
}

func listCache(ctx context.Context) (verdict.Cache, error) {
	dir, err := (&kernels.Builder{}).CacheDir()
	if err != nil {
		return verdict.Cache{}, err
	}
	return cache.List(ctx, dir)
}

func cachePruneCommand(stdout io.Writer) *cobra.Command {
	var flags cacheFlags
	var policy cache.Policy
	var older, size string
	var dry bool
	cmd := &cobra.Command{
		Use:     "prune",
		Short:   "remove what was used longest ago",
		Long:    pruneLong,
		Example: pruneExample,
		Args:    noArgs,
	}
	fs := cmd.Flags()
	fs.SortFlags = false
	fs.BoolVar(&policy.All, "all", false, "all of it")
	fs.StringVar(&older, "older", "", "what was not used for this `TIME`: 30d, 2w, 12h")
	fs.StringVar(&size, "size", "", "until the cache takes no more than this `SIZE`: 10G, 500M")
	fs.StringArrayVar(&policy.Kinds, "kind", nil, "only entries of this `KIND`: "+strings.Join(cache.Kinds(), ", ")+"; may be repeated")
	fs.BoolVar(&dry, "dry-run", false, "say what would go, and remove nothing")
	flags.bind(cmd)
	_ = cmd.RegisterFlagCompletionFunc("kind", cobra.FixedCompletions(cache.Kinds(), wordsOnly))
	_ = cmd.RegisterFlagCompletionFunc("older", cobra.FixedCompletions([]string{"7d", "30d", "90d"}, wordsOnly))
	_ = cmd.RegisterFlagCompletionFunc("size", cobra.FixedCompletions([]string{"5G", "10G", "20G"}, wordsOnly))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if err := errors.Join(prunePolicy(&policy, older, size), checkFile("--json", flags.json)); err != nil {
			return err
		}
		c, err := pruneCache(cmd.Context(), policy, dry)
		if err != nil && len(c.Removed) == 0 {
			return err
		}
		return errors.Join(err, flags.show(stdout, &c, report.PrunedText))
	}
	return cmd
}

// prunePolicy reads the flags that say how much goes.
func prunePolicy(p *cache.Policy, older, size string) error {
	for _, k := range p.Kinds {
		if !slices.Contains(cache.Kinds(), k) {
			hint := "it is one of " + strings.Join(cache.Kinds(), ", ")
			if near := nearest.Name(k, cache.Kinds(), 3); near != "" {
				hint = "did you mean " + near + "?"
			}
			return blame.New(blame.Usage, "--kind: "+strconv.Quote(k)+" is no kind of entry", hint)
		}
	}
	if older != "" {
		n, ok := scaled(older, map[string]int64{"h": int64(time.Hour), "d": 24 * int64(time.Hour), "w": 7 * 24 * int64(time.Hour)})
		if !ok || n == 0 {
			return blame.New(blame.Usage, "--older: "+strconv.Quote(older)+" is no time", "a number and h, d or w: 30d")
		}
		p.Older = time.Duration(n)
	}
	if size != "" {
		n, ok := scaled(size, map[string]int64{"M": 1 << 20, "G": 1 << 30, "T": 1 << 40})
		if !ok {
			return blame.New(blame.Usage, "--size: "+strconv.Quote(size)+" is no size", "a number and M, G or T: 10G")
		}
		p.Size, p.Limited = n, true
	}
	switch {
	case p.All && (older != "" || size != ""):
		return blame.New(blame.Usage, "--all: everything goes, and there is a limit too", "leave one of them out")
	case !p.All && older == "" && size == "":
		return blame.New(blame.Usage, "cache prune: what should go?", "--older 30d, --size 10G or --all; --dry-run says what that would be")
	}
	return nil
}

// scaled reads a whole number and its unit, which it must have.
func scaled(text string, units map[string]int64) (int64, bool) {
	if text == "" {
		return 0, false
	}
	unit, ok := units[text[len(text)-1:]]
	n, err := strconv.ParseInt(text[:len(text)-1], 10, 64)
	if !ok || err != nil || n < 0 || n > (1<<62)/unit {
		return 0, false
	}
	return n * unit, true
}

// pruneCache removes what the policy says. What could not be removed is an error at the end, and does not keep the rest.
func pruneCache(ctx context.Context, policy cache.Policy, dry bool) (verdict.Cache, error) {
	c, err := listCache(ctx)
	if err != nil {
		return c, err
	}
	c.DryRun = dry
	var errs []error
	for _, e := range cache.Choose(c, policy, time.Now()) {
		removed := dry
		if !dry {
			removed, err = cache.Remove(c.Dir, e)
			errs = append(errs, err)
		}
		if removed {
			c.Removed = append(c.Removed, e)
		}
		if ctx.Err() != nil {
			return c, ctx.Err()
		}
	}
	return c, errors.Join(errs...)
}
