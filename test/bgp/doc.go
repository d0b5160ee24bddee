// Package bgp runs servers behind a router that speaks BGP: BIRD or FRR, in a network
// namespace of its own. What the router's kernel does, and what a client beyond it sees,
// is what counts.
package bgp
