package main

import (
	"fmt"
	"net/netip"
	"os/exec"
	"strings"
	"time"

	"github.com/vipd/vipd/test/lab"
)

func networkFaults() []fault {
	// Two hold while they do not hear each other, and clients are with one that answers.
	// When one of them yields, the other may announce itself once a second.
	apart := planned(2).with(func(b *bound) {
		b.outage, b.lost, b.resets, b.idle, b.two, b.healed = locktime, anything, anything, anything, anything, meeting
	})
	// One of them hears the other, and has the last word (conformance 52). The deaf one hears
	// that, and announces against it up to twice a second; there and back costs what two moves do.
	const rounds = 2 * 5
	deaf := apart.with(func(b *bound) { b.lost, b.resets, b.moves = 0, planned(2).resets*rounds, 0 })
	heard := steps(last(3*time.Second), asks(2*time.Second))
	return []fault{
		{name: "link down", note: "5 s without carrier", play: steps(unplug, movedToSecond, last(4*time.Second)), heal: plug, bound: unplanned(downTime, 2)},
		{name: "link flaps", note: "5 times 0.2 s without carrier", play: flap, bound: unplanned(downTime, 2)},
		{name: "interface set down", note: "and IPv6 addresses put back by hand", play: steps(setDown, movedToSecond), heal: setUp, bound: unplanned(downTime, 2)},
		{name: "Backup hears nothing", note: "a firewall drops protocol 112", play: steps(on(1, deny("input")), heard), heal: on(1, allow), bound: deaf},
		{name: "holder hears nothing", play: steps(deny("input"), last(5*time.Second)), heal: allow, bound: unmoved()},
		{name: "holder is not heard", note: "the switch drops its advertisements", play: steps(filter("iifname %s meta l4proto 112 drop"), heard), heal: unfilter, bound: deaf},
		{name: "one-way loss: frames to the holder", note: "all of them, for 5 s: clients cannot reach it, and nobody else can know, unless it loses the MAC address of a unicast peer", play: steps(filter("oifname %s drop"), last(5*time.Second)), heal: unfilter, stays: true,
			bound: unplanned(5200*time.Millisecond, 2).with(func(b *bound) { b.two, b.healed, b.nobody = 5*time.Second, neighbours, 0 })},
		{name: "one-way loss: frames from the holder", note: "all of them", play: steps(cutOutgoing, movedToSecond, last(3*time.Second)), heal: steps(unfilter, reachable), bound: unplanned(downTime, 2)},
		{name: "firewall on the holder", note: "drops protocol 112, in and out; two hold", play: steps(deny("input", "output"), last(5*time.Second)), heal: allow, stays: true, bound: apart},
		{name: "firewall everywhere", note: "likewise; each holds", play: steps(everywhere(deny("input", "output")), last(5*time.Second)), heal: everywhere(allow), bound: apart},
	}
}

func adversityFaults(o options) []fault {
	// Where a Backup rose in vain, clients are with it until the holder may announce again.
	// Two hold for as many intervals as are lost in a row once in 10,000 times.
	loss := func(percent int, two time.Duration) fault {
		return fault{name: fmt.Sprintf("%d %% of advertisements lost", percent), note: o.loss.String(), runs: 10, each: true,
			play: steps(filter(fmt.Sprintf("meta l4proto 112 numgen random mod 100 < %d drop", percent)), last(o.loss)), heal: unfilter,
			bound: planned(anything).with(func(b *bound) {
				b.outage, b.lost, b.two, b.healed, b.resets, b.idle = locktime, anything, two, meeting, anything, anything
			})}
	}
	return []fault{
		loss(10, time.Second), loss(30, 2*time.Second), loss(60, 5*time.Second),
		{name: "advertisements doubled and reordered", note: "up to 0.4 s late", setUp: spliceFirst, play: steps(shuffle, last(o.loss)), heal: unshuffle, bound: unmoved()},
		{name: "partition heals", note: fmt.Sprintf("%d times, at any phase", o.partitions), runs: 10, play: partitions,
			bound: unplanned(downTime, 2*o.partitions).with(func(b *bound) { b.outage, b.unicast = locktime, neighbours })},
	}
}

// asks wants the client to be with the first server for so long, but for moments.
func asks(d time.Duration) func(*trial) error {
	return func(x *trial) error {
		from := time.Now()
		x.wait(d)
		x.wants = append(x.wants, want{x.first().Name, from, time.Now()})
		return nil
	}
}

func unplug(x *trial) error {
	x.note("unplug")
	x.cut(x.first())
	return x.Lab.Unplug(x.first().Node)
}

func plug(x *trial) error {
	x.note("plug")
	x.joined(x.first())
	return x.Lab.Plug(x.first().Node)
}

func flap(x *trial) error {
	for range 5 {
		if err := unplug(x); err != nil {
			return err
		}
		x.wait(200 * time.Millisecond)
		if err := plug(x); err != nil {
			return err
		}
		x.wait(300 * time.Millisecond)
	}
	return nil
}

func setDown(x *trial) error {
	x.cut(x.first())
	return x.on(x.first(), "ip", "link", "set", lab.Interface, "down")
}

func setUp(x *trial) error {
	if err := x.on(x.first(), "ip", "link", "set", lab.Interface, "up"); err != nil {
		return err
	}
	x.joined(x.first())
	return x.first().Node.AddAddr(netip.PrefixFrom(x.first().Addr6, 64))
}

// deny makes the first server's firewall drop protocol 112.
func deny(hooks ...string) func(*trial) error {
	return func(x *trial) error {
		rules := "add table inet test\n"
		for _, h := range hooks {
			rules += fmt.Sprintf("add chain inet test %[1]s { type filter hook %[1]s priority 0; }\nadd rule inet test %[1]s meta l4proto 112 drop\n", h)
		}
		x.note("%s's firewall: %v", x.first().Name, hooks)
		return nft(x.first().Node, rules)
	}
}

func allow(x *trial) error { return nft(x.first().Node, "delete table inet test\n") }

// filter makes the switch drop what a rule says; %s in it is the first server's port.
func filter(rule string) func(*trial) error {
	return func(x *trial) error {
		rule := strings.ReplaceAll(rule, "%s", x.first().Name)
		x.note("switch: %s", rule)
		return nft(x.Lab.Switch(), "add table bridge test\nadd chain bridge test c { type filter hook forward priority 0; }\nadd rule bridge test c "+rule+"\n")
	}
}

func unfilter(x *trial) error { return nft(x.Lab.Switch(), "delete table bridge test\n") }

func nft(n *lab.Node, rules string) error {
	cmd := exec.Command("nft", "-f", "-")
	cmd.Stdin = strings.NewReader(rules)
	return n.Do(func() error {
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: nft: %w: %s", n.Name, err, out)
		}
		return nil
	})
}

// cutOutgoing drops what the holder sends, which can then serve nobody.
func cutOutgoing(x *trial) error {
	x.cut(x.first())
	return filter("iifname %s drop")(x)
}

func reachable(x *trial) error {
	x.joined(x.first())
	return nil
}

// partitions cuts the holder off from all others, until another one holds the VIPs, and
// joins it at any phase of the intervals.
func partitions(x *trial) error {
	for range x.partitions {
		if err := cutFirst(x); err != nil {
			return err
		}
		if err := x.moved(x.second()); err != nil {
			return err
		}
		x.wait(time.Duration(x.rng.Int64N(int64(2 * time.Second))))
		if err := joinFirst(x); err != nil {
			return err
		}
		if err := x.moved(x.first()); err != nil {
			return err
		}
		x.wait(time.Duration(x.rng.Int64N(int64(time.Second))))
	}
	return nil
}

// spliceFirst puts a splice before the first server. It loses what comes meanwhile.
func spliceFirst(x *trial) error {
	f, err := splice(x.Lab.Switch(), x.first().Name)
	if err != nil {
		return err
	}
	x.splicer = f
	x.undo = append(x.undo, func() {
		if err := f.close(); err != nil {
			x.note("take the splice out: %v", err)
		}
	})
	return nil
}

// shuffle makes the first server's advertisements arrive more than once, and late.
func shuffle(x *trial) error {
	if x.splicer == nil {
		if err := spliceFirst(x); err != nil {
			return err
		}
	}
	x.splicer.delay(func() []time.Duration {
		var late []time.Duration
		for range 1 + x.rng.IntN(2) {
			late = append(late, time.Duration(x.rng.Int64N(int64(400*time.Millisecond))))
		}
		return late
	})
	return nil
}

func unshuffle(x *trial) error {
	x.splicer.delay(atOnce)
	return nil
}
