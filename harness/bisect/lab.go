package bisect

import (
	"context"

	"kcatch/harness"
	"kcatch/harness/verdict"
)

// Kernel is a commit that has been built.
type Kernel struct {
	// Plan boots it; it builds nothing.
	Plan harness.Plan
	// Image is a hash of everything that is loaded, but for version strings: two commits with the same one are the same kernel.
	// It is empty when that is not known.
	Image string
	// Reads is what the build read; nil when that is not known.
	Reads *Reads
	// Config is the file of the configuration that it was built with.
	Config string
	// Built is false when the kernel was there already.
	Built bool
}

// Lab is the search's only door to the world. Build and Revert are never called at once, Boot may be.
type Lab struct {
	// Build makes the kernel of a commit. An error of kind Build or Usage says that the commit cannot be tested.
	Build func(ctx context.Context, commit string) (Kernel, error)
	// Boot boots a kernel for the n-th time, from 1.
	Boot func(ctx context.Context, commit string, k Kernel, n int) (verdict.Result, error)
	// Revert makes the kernel of a commit with another one taken out. The error is [ErrConflict] when that does not come out clean.
	Revert func(ctx context.Context, on, culprit string) (Kernel, error)
	// Parents are all parents of a commit, in the range or not.
	Parents func(ctx context.Context, commit string) ([]string, error)
	// Subject is the first line of a commit's message.
	Subject func(commit string) string
	// Inert are the commits of the range that cannot change what is built, by the builds of both ends. It may be nil.
	Inert func(ctx context.Context, ends ...Kernel) ([]string, error)
}
