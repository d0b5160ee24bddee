// Package bgp announces virtual addresses as routes, for networks that are routed to
// the host (RFC 4271).
//
// [Machine] decides, without a clock or sockets, what one node says of one virtual IP.
// [Speaker] says it to the routers. It only ever announces: it imports no route, opens
// the sessions itself, and reads of an update no more than what it takes to skip it. With
// [BFD] both ends notice sooner that the other is gone (RFC 5880, RFC 5881).
package bgp
