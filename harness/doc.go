// Package harness boots a kernel and says how that ended.
//
// A boot is a journey with one direction, and [Boot] is that line of calls:
//
//	Plan ─▶ kernels.Build ─▶ images.Build ─▶ machine.Start ─▶ watch.Wait ─▶ autopsy.Examine ─▶ Result ─▶ report
//
// Each arrow takes a value and gives a value. Everything that repeats boots (bisect, smoke, survey) is a loop around
// Boot, never a fork of it.
//
// An error from Boot means that there is no verdict on the kernel; blame.Of tells whose fault that is. A Result with
// verdict bad is not an error.
package harness
