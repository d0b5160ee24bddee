// Package probe measures what a client of a virtual IP sees: a new connection
// every few milliseconds, whether or not earlier ones have been answered, and
// one that stays open and idle.
package probe
