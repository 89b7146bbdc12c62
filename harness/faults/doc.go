// Package faults runs the fault corpus: it builds the kernels that are not in the cache, boots each fault, and says which
// verdicts are right. It is a loop around harness.Boot and adds no policy of its own.
//
// [Load] is the corpus, its words checked; [Check] refuses what cannot be run before anything is; [Run] runs it. [Plan] is
// a fault as a boot, and [Differences] what is wrong in a result: both are pure, for tests that bring their own kernels.
//
// Kernels of Debian's are not fetched here: "make fixtures" puts them into the cache.
package faults
