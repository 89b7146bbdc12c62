// Package autopsy turns a stopped machine into a death: class, stage, cause, the chain of every vCPU, and the log.
//
// The work has two halves. Gathering (scene.go, chain.go) reads registers, memory and the vmlinux and yields an
// [Evidence]; it acts. Judging (rules.go, stage.go, cause.go) takes the Evidence and yields a [Finding]; it is pure, and
// a class of death is one entry of a table, so that a new class is a function and not another branch of a switch.
//
// What it needs: a machine that stands still, a connection to its stub, its RAM, and the vmlinux it runs. Without a
// vmlinux it reports registers and says so. What it does not do: decide that the boot is over (that is watch).
package autopsy
