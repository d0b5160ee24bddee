package main

import (
	"fmt"
	"time"

	"github.com/vipd/vipd/test/lab"
)

func interfaceFaults() []fault {
	return []fault{
		{name: "VIP deleted by hand, 10 times", play: deleteVIP, bound: unmoved().with(func(b *bound) {
			b.nobody, b.lost, b.resets = 50*time.Millisecond, 10, 10 // what comes in that very instant
		})},
		{name: "interface renamed", play: steps(rename(lab.Interface, "lan7"), last(3*time.Second)), heal: rename("lan7", lab.Interface), bound: unmoved()},
		{name: "interface deleted and made again", play: steps(detach, movedToSecond), heal: attach, bound: unplanned(downTime, 2)},
		{name: "node's address changed", note: "and back: the VIP is put after it, twice", only: func(v variant) bool { return !v.ipv6 && !v.unicast }, play: steps(renumber(10, 20), last(3*time.Second)), heal: renumber(20, 10),
			bound: unmoved().with(func(b *bound) { b.lost, b.resets = 2, 2 })},
		{name: "MTU changed", note: "1280, and 1500 again", play: steps(mtu(1280), last(2*time.Second)), heal: mtu(1500), bound: unmoved()},
	}
}

func deleteVIP(x *trial) error {
	vip := x.vips()[0]
	for range 10 {
		if err := x.on(x.first(), "ip", "address", "del", host(vip), "dev", lab.Interface); err != nil {
			return err
		}
		if err := x.holds(x.first()); err != nil {
			return err
		}
		x.wait(100*time.Millisecond + time.Duration(x.rng.Int64N(int64(400*time.Millisecond))))
	}
	return nil
}

func rename(from, to string) func(*trial) error {
	return func(x *trial) error { return x.on(x.first(), "ip", "link", "set", from, "name", to) }
}

func detach(x *trial) error {
	x.note("the interface goes")
	x.cut(x.first())
	return x.Lab.Detach(x.first().Node)
}

func attach(x *trial) error {
	x.note("the interface is back")
	x.joined(x.first())
	return x.Lab.Attach(x.first().Node, x.first().Prefixes()...)
}

// renumber gives the node another address, at once: without one it reaches nobody.
func renumber(from, to int) func(*trial) error {
	return func(x *trial) error {
		n := x.first().Number
		return x.on(x.first(), "sh", "-c", fmt.Sprintf(`printf 'address del 198.51.100.%d/24 dev %[3]s\naddress add 198.51.100.%[2]d/24 dev %[3]s\n' | ip -batch -`, from+n, to+n, lab.Interface))
	}
}

func mtu(n int) func(*trial) error {
	return func(x *trial) error { return x.on(x.first(), "ip", "link", "set", lab.Interface, "mtu", fmt.Sprint(n)) }
}
