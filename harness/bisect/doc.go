// Package bisect finds the commit after which a boot dies, judged on the symbolized death itself.
//
// The pure core takes values and gives values:
//
//	graph.go     the commits between the two ends, as git's rev-list lists them
//	ancestry.go  which commits are before another
//	strand.go    how many: commits in a row are one
//	midpoint.go  which commit halves what is left, as "git bisect" weighs it
//	state.go     trials in their order -> the commits that may still be the culprit
//	evidence.go  trials -> sums of boots, for each commit as the culprit
//	belief.go    how sure that is: deaths that strike in some boots only are weighed, not counted
//	faces.go     is this death the one that is looked for, or a decoy
//	reads.go     which commits cannot change the kernel that is built
//	reduce.go    the same question over two configurations
//
// The thin shell acts: clone.go (git, in a private clone that borrows the user's objects), log.go (every boot is written down at
// once, so that a run can go on after a reboot), run.go (the loop), lab.go (builds and boots).
//
// Words. A commit is "old" or "new"; the culprit is the first new one. Looking for what broke, new commits die; looking for
// what fixed ([Options.Fixed]), old ones do. A trial is all boots of one commit. A decoy is another death than the one that
// is looked for: it says nothing about that one, so its commit is skipped.
//
// What it needs from you: a repository that has both ends with their history, and functions that build and boot (see [Lab]).
// What it does not do: it never writes to the user's repository, and it never takes a death that it does not know for a bad commit.
//
// git's own bisection: Documentation/git-bisect-lk2009.txt and bisect.c of git 2.39.
package bisect
