// Package sim runs whole clusters of the real state machine (package vrrp) and the
// real judge (package health) in virtual time: one goroutine, one seeded random
// source, an event queue, and models of everything around them (network, kernel, API
// server, the hosts of the segment). The same seed gives the same run. While it runs,
// invariants are checked after every event; see invariant.go and rules.go for what
// they are and where their bounds come from.
package sim
