// Package cache says what kcatch keeps in the user's cache directory, how much of the disk it takes and when it was last used, and
// removes it on request.
//
// What it does: [List] walks the directory; [Choose] picks what should go by age, by size or all of it, and is pure; [Remove] removes
// what was picked. Everything there can be made or downloaded again, so that removing costs time and nothing else.
//
// What it needs from you: the directory, as kernels.Builder.CacheDir has it.
//
// What it does not do: it removes nothing that a running kcatch has (kernels.Claim says which locks that goes by), nothing outside
// the directory, and nothing that it does not know: an entry of the user's own stays and is not listed.
//
// The layout is that of the rooms that write there: sources, slots, builds, memo and logs are kernels', bisect is harness/bisect's,
// modules is harness's, packages and fixtures are those of the tests, faults is harness/faults'.
package cache
