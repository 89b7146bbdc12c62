package main

import (
	"os"
	"runtime/debug"
)

// Between a stop and its result kcatch reads and decodes for some 5 ms, and QEMU is not stopped meanwhile: collecting garbage then
// is a fifth of what a person waits for.
const (
	lazily    = 400     // percent of growth before a collection; Go's own is 100
	modestly  = 1 << 30 // bytes of Go's memory from which on collections come as they must
	gcSetting = "GOGC"
)

// collectLazily puts garbage collection off while the heap is small. The user's own GOGC wins.
func collectLazily() {
	if os.Getenv(gcSetting) == "" {
		debug.SetGCPercent(lazily)
		debug.SetMemoryLimit(modestly)
	}
}
