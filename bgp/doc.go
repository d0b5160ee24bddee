// Package bgp announces virtual addresses as routes, for networks that are routed to
// the host (RFC 4271).
//
// [Machine] decides, without a clock or sockets, what one node says of one virtual IP.
// [Speaker] says it to the routers. It only ever announces: it imports no route, needs
// no listener, and reads of an update no more than what it takes to skip it.
package bgp
