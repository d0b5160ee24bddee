package main

import (
	"net/netip"
	"slices"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// longestLease is the lease, and how late the kernel may be to end it.
const longestLease = 3400 * time.Millisecond

func agentFaults() []fault {
	// The API server outlives the agent, so that clients lose nothing.
	leased := planned(2).with(func(b *bound) {
		b.two, b.healed, b.resets, b.idle = longestLease, b.two, anything, anything
	})
	// Backups wait for Skew_Time, and those of two servers are 10 ms apart here: with 32 VIPs
	// on a busy host the third server may be the first for some, until it is preempted.
	released := planned(2).with(func(b *bound) {
		b.moves++
		b.two, b.twoMedian = 300*time.Millisecond, 80*time.Millisecond
	})
	return []fault{
		{name: "agent killed", ends: 1, note: "nobody runs `vipd release`: the lease ends", play: steps(tell(syscall.SIGKILL), movedToSecond), heal: startAgent, bound: leased},
		{name: "agent killed, then vipd release", ends: 1, note: "as systemd runs it; likewise after an OOM kill", runs: 10, play: steps(tell(syscall.SIGKILL), release, movedToSecond), heal: startAgent, bound: released},
		{name: "agent crashes, then vipd release", ends: 1, note: "SIGABRT: traces of all goroutines", play: steps(tell(syscall.SIGABRT), release, movedToSecond), heal: startAgent, bound: released},
		{name: "agent hangs", ends: 1, note: "SIGSTOP, then what the watchdog does", play: steps(tell(syscall.SIGSTOP), movedToSecond), heal: steps(tell(syscall.SIGKILL), release, startAgent), bound: leased},
		{name: "agent hangs for 10 s", note: "SIGSTOP, SIGCONT", play: steps(tell(syscall.SIGSTOP), movedToSecond, last(7*time.Second)), heal: tell(syscall.SIGCONT), bound: leased},
		{name: "agent stalls for 0.5 s, 5 times", play: stalls, bound: unmoved()},
		{name: "Backup's agent killed", ends: 1, play: steps(on(1, tell(syscall.SIGKILL)), last(3*time.Second)), heal: on(1, startAgent), bound: unmoved()},
		{name: "Backup hangs for 5 s", play: steps(on(1, tell(syscall.SIGSTOP)), last(5*time.Second)), heal: on(1, tell(syscall.SIGCONT)), bound: unmoved()},
	}
}

// on plays what is played on the first server on another one.
func on(i int, do func(*trial) error) func(*trial) error {
	return func(x *trial) error {
		other := *x
		c := *x.Cluster
		c.Servers = slices.Concat(x.Servers[i:], x.Servers[:i])
		other.Cluster = &c
		return do(&other)
	}
}

func tell(sig syscall.Signal) func(*trial) error {
	return func(x *trial) error {
		x.note("%v to %s's agent", sig, x.first().Name)
		return x.first().SignalAgent(sig)
	}
}

// release does what systemd does when the agent has ended.
func release(x *trial) error {
	_ = x.first().AwaitAgent(x.ctx) // it was told to end; how is of no interest
	out, err := x.first().Vipd("release")
	x.note("vipd release: %q", out)
	return err
}

func startAgent(x *trial) error {
	_ = x.first().AwaitAgent(x.ctx) // likewise
	return x.first().StartAgent()
}

func stalls(x *trial) error {
	for range 5 {
		if err := x.first().SignalAgent(syscall.SIGSTOP); err != nil {
			return err
		}
		x.wait(500 * time.Millisecond)
		if err := x.first().SignalAgent(syscall.SIGCONT); err != nil {
			return err
		}
		x.wait(time.Second)
	}
	return nil
}

func (x *trial) die(s *cluster.Server) error {
	x.note("%s dies", s.Name)
	if err := s.Die(); err != nil {
		return err
	}
	x.cut(s)
	for _, a := range x.vips() {
		// The namespace outlives the node, and its lease would too.
		_, _ = s.Node.Run("ip", "address", "del", host(a), "dev", lab.Interface)
	}
	return nil
}

func (x *trial) revive(s *cluster.Server) error {
	x.note("%s is back", s.Name)
	x.joined(s)
	if err := s.Revive(); err != nil {
		return err
	}
	return nil
}

// host is an address as the kernel has it when it belongs to no network.
func host(a netip.Addr) string { return netip.PrefixFrom(a, a.BitLen()).String() }
