// Package faults is the fault corpus: kernels that die, hang or only seem to, each with the verdict that it must get.
//
// The faults are data, in *.faults beside this file: stanzas of "key: value" lines (see [Parse]). What a fault changes is
// the kernel's source (a diff in this directory), its command line, its machine, what its init runs, or bytes of its
// bzImage. [All] gives the faults that come with kcatch, [Corpus.Match] those that a glob names, [Edit.Apply] the bzImage
// with its bytes changed. What is expected is what is true of the kernel, whatever kcatch says today.
//
// It builds and boots nothing (harness/faults does) and knows no class or stage: they are words here, and checked there.
//
// The diffs and the text of selectable.diff are changes to the kernel and GPL-2.0-only.
package faults
