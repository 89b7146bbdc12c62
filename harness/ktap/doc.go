// Package ktap reads the results of tests as the kernel and its selftests print them, KTAP version 1 and TAP 13 and 14, out of a
// console or a log that has other things in it.
//
// What it does: a [Decoder] takes lines, one after the other, and gives the tests as [verdict.Subtest] in their order. A test
// that has tests of its own is a suite; they are nested by indentation, of blanks or tabs, or, as kselftest does it, by a "# "
// before every line of the inner report. A suite shows itself only where its own line disagrees with what is in it. What a plan
// promised and nobody saw is "lost": the kernel died, or the lines did. Lines that are no KTAP (diagnostics, and what else the
// kernel had to say meanwhile) are kept with the next test of their level when that one fails or is lost.
//
//	KTAP version 1                       a report begins
//	1..2                                 the plan: two tests; it may come last, or not at all
//	    KTAP version 1                   a suite begins; older kernels have only the next line
//	    # Subtest: example               its name; without this line the suite's result has it
//	    1..2
//	    # fails: EXPECTATION FAILED at lib/kunit/kunit-example-test.c:29
//	    Expected 1 + 1 == 3              any other line belongs to the test that it stands before
//	    not ok 1 fails
//	    ok 2 left_out # SKIP no reason
//	not ok 1 example                     the suite's own result
//
// What it needs from you: whole lines, with or without printk's "[    1.234567] " and "[T1] " in front.
//
// What it does not do: it takes two reports that are printed at the same time for one, and has no opinion of a test's numbers
// but for the plan: a test that is numbered wrongly counts.
//
// Formats: linux/Documentation/dev-tools/ktap.rst; testanything.org, TAP version 13; linux/tools/testing/selftests/kselftest/runner.sh.
package ktap
