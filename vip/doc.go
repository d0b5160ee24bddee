// Package vip owns virtual addresses on the interface: it claims them with a
// lease, renews and releases them, announces them with gratuitous ARP (IPv4) or
// unsolicited neighbour advertisements (IPv6), and watches what others do to them.
//
// It decides nothing. What opens sockets does so in the network namespace of the
// calling thread and stays there, wherever its goroutines run later.
package vip
