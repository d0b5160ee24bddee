// Package conformance holds the tests of whole clusters: real agents, the real kernel,
// and a client that sees what happens. The numbers in their names are those of
// the conformance list (test/README.md).
package conformance
