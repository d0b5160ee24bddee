// Package interop holds vipd against other implementations of VRRP: keepalived
// and FRR's vrrpd, as they come with the distribution, run on one segment with a
// real agent, and tshark reads what went over the wire. It has tests only.
package interop
