// Package transport carries VRRP packets: raw sockets of IP protocol 112,
// multicast and unicast, IPv4 and IPv6. It moves payloads and knows nothing of
// their meaning except where the VRID is.
//
// An interface needs one [Receiver] and one [Sender] for each address family,
// whatever the number of virtual routers on it. Linux only.
package transport
