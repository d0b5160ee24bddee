package main

import (
	"runtime"
	"runtime/debug"
)

// beFrugal fits the runtime to an agent that sleeps nearly always. It makes so little
// garbage that a quarter of the usual room for it costs no time. More than two processors
// would only wake each other; with one, a write to the kernel that blocks would hold up the rest.
func beFrugal() {
	debug.SetGCPercent(25)
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), 2))
}
