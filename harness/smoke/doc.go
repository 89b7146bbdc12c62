// Package smoke boots a matrix of kernels, machines and command lines, and says which cells of it pass.
//
// What it does: [Run] takes cells, each a Plan with what is expected of it, builds each kernel once, boots cells side by
// side while later kernels build, tries a failed one again, compares what died with a baseline and with a list of known
// splats, and gives one [verdict.Smoke] of which every report is made.
//
// What it needs from you: cells that are decided; which they are is the profile's matter (harness/config). It is a loop
// around harness.Boot, never a fork of it.
//
// What it does not do: it prints nothing; a [Listener] is told what happens.
package smoke
