package main

import (
	"runtime"
	"runtime/debug"
	"time"
)

// settled is when an agent has what it holds, and the announcements of that are over.
const settled = 10 * time.Second

// beFrugal fits the runtime to an agent that sleeps nearly always, until end. It makes so
// little garbage that a quarter of the usual room for it costs no time, and what the start
// took would be kept for minutes: with 254 VIPs, a quarter of all memory. More than two
// processors would only wake each other; with one, a write to the kernel that blocks would
// hold up the rest.
func beFrugal() (end func()) {
	debug.SetGCPercent(25)
	runtime.GOMAXPROCS(min(runtime.GOMAXPROCS(0), 2))
	once := time.AfterFunc(settled, debug.FreeOSMemory)
	return func() { once.Stop() }
}
