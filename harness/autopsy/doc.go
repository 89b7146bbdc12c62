// Package autopsy turns a stopped machine into a death: class, stage, cause, the chain of every vCPU, and the log.
//
// The work has two halves. Gathering (scene.go, symbolize.go, memory.go) reads registers, memory and the vmlinux and yields
// an [Evidence]; it acts. Judging takes the Evidence and yields a [Finding]; it is pure. A class of death is one entry of a
// table (rules.go), so that a new class is a function and not another branch of a switch: exception.go has the deaths by
// exceptions, leaving.go resets and power-offs, hang.go what does not go on, watchdogs.go what the kernel itself found so; stage.go
// and cause.go say where.
//
// What it needs: a machine that stands still, a connection to its stub, its RAM, and the vmlinux it runs. Without a
// vmlinux it reports registers and says so. What it does not do: decide that the boot is over (that is watch).
package autopsy
