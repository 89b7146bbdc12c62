package bisect

import "context"

// reduce finds the least part of items that still dies: no single item can be left out of it. all of them die, none of them lives.
// test says what a part does; a part that cannot be tested counts as one that lives, so that the answer may be larger than it need be,
// never wrong. It is "ddmin" (A. Zeller, R. Hildebrandt, Simplifying and Isolating Failure-Inducing Input, 2002): for one cause among n
// items about 2 log2(n) tests, for causes that only work together up to n^2.
func reduce[T any](ctx context.Context, items []T, test func(ctx context.Context, part []T) (Outcome, error)) ([]T, error) {
	parts := 2
	for len(items) > 1 {
		cut := func(i int) (from, to int) { return i * len(items) / parts, (i + 1) * len(items) / parts }
		smaller, found := []T(nil), false
		for i := 0; i < parts && !found; i++ {
			from, to := cut(i)
			o, err := test(ctx, items[from:to])
			if err != nil {
				return nil, err
			}
			if o == Dies {
				smaller, found = items[from:to], true
				parts = 2
			}
		}
		for i := 0; i < parts && !found && parts > 2; i++ { // with two parts, the rest of one is the other
			from, to := cut(i)
			rest := append(append([]T(nil), items[:from]...), items[to:]...)
			o, err := test(ctx, rest)
			if err != nil {
				return nil, err
			}
			if o == Dies {
				smaller, found = rest, true
				parts = max(parts-1, 2)
			}
		}
		switch {
		case found:
			items = append([]T(nil), smaller...)
		case parts == len(items):
			return items, nil
		default:
			parts = min(2*parts, len(items))
		}
	}
	return items, nil
}
