// Package doctor looks for what breaks clusters: each check gathers evidence about one
// part of a server, its network and its peers, and returns findings with a remedy.
//
// It only looks: nothing on the host is changed. What it puts on the wire are ARP
// probes and neighbour solicitations without a sender, and the membership in the
// multicast group without which it would hear nothing.
package doctor
