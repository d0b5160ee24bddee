package main

import (
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

func apiFaults(o options) []fault {
	// The API server answers clients, whatever it thinks of itself.
	served := planned(2)
	// Three probes of 0.75 s, of which one begins each 0.5 s, and the first up to 0.5 s
	// after the last answer; then a move.
	const hung = 2400 * time.Millisecond
	const slow = 1900 * time.Millisecond
	// Whoever waits for an answer when the VIP moves, and each move's own.
	waiting := int(slow/max(o.interval, time.Millisecond)) + served.resets
	return []fault{
		{name: "API killed", play: steps(signalAPI(syscall.SIGKILL), movedToSecond), heal: startAPI, bound: gradeFell(200 * time.Millisecond)},
		{name: "API hangs", note: "SIGSTOP, SIGCONT", play: steps(signalAPI(syscall.SIGSTOP), movedToSecond), heal: signalAPI(syscall.SIGCONT), bound: gradeFell(hung)},
		{name: "API answers 500", runs: 20, play: steps(api("unready"), movedToSecond), heal: api("ready"), bound: served},
		{name: "API answers 401", play: steps(api("status 401"), movedToSecond), heal: api("ready"), bound: served},
		{name: "API answers after 1.5 s", note: "slow is not dead; the outage is the first answer's delay", play: steps(api("slow 1500ms"), last(8*time.Second)), heal: api("ready"), bound: unmoved().with(func(b *bound) { b.outage = 1700 * time.Millisecond })},
		{name: "API answers after 1.9 s", note: "which cannot be told from a hang", play: steps(api("slow "+slow.String()), movedToSecond), heal: api("ready"),
			bound: served.with(func(b *bound) { b.outage, b.resets = slow+200*time.Millisecond, waiting })},
		{name: "API flaps each second", note: "for " + o.flap.String(), runs: 2, play: steps(api("flapping 2s"), last(o.flap)), heal: api("ready"), stays: true,
			bound: planned(4).with(func(b *bound) { b.resets = anything })},
		{name: "API dead everywhere", note: "the holder stays", play: steps(everywhere(signalAPI(syscall.SIGKILL)), last(3*time.Second)), heal: everywhere(startAPI), stays: true,
			bound: bound{outage: anything, lost: anything, resets: anything, idle: anything, two: planned(2).two, moves: 2}},
	}
}

func datastoreFaults() []fault {
	return []fault{
		{name: "datastore lost on one", note: "the holder", runs: 20, play: steps(api("etcd-lost"), movedToSecond), heal: api("ready"), bound: planned(2)},
		{name: "datastore lost on two", play: steps(api("etcd-lost"), on(1, api("etcd-lost")), func(x *trial) error { return x.moved(x.third()) }),
			heal: steps(api("ready"), on(1, api("ready"))), bound: planned(4)},
		{name: "datastore lost on all", runs: 2, note: "12 s", play: steps(everywhere(api("etcd-lost")), last(12*time.Second)), heal: everywhere(api("ready")), bound: unmoved()},
		{name: "datastore lost on all, newer answers", runs: 2, note: "12 s", play: steps(everywhere(api("etcd-lost-fast")), last(12*time.Second)), heal: everywhere(api("ready")), bound: unmoved()},
		{name: "etcd election of 5 s", play: steps(everywhere(api("etcd-lost")), last(5*time.Second)), heal: everywhere(api("ready")), bound: unmoved()},
		{name: "etcd leader dies with the holder", runs: 2, note: "21 s, as a real K3s cluster was seen to go through it", ends: 1, play: leaderDies, heal: revive, bound: unplanned(downTime, 2)},
		{name: "etcd leader cut off with the holder", runs: 2, note: "18 s, likewise", play: leaderCutOff, heal: steps(joinFirst, startAPI),
			bound: unplanned(downTime, 2).with(func(b *bound) { b.unicast = neighbours })},
	}
}

func signalAPI(sig syscall.Signal) func(*trial) error {
	return func(x *trial) error {
		x.note("%v to %s's API server", sig, x.first().Name)
		return x.first().SignalAPI(sig)
	}
}

func startAPI(x *trial) error { return x.first().StartAPI("ready") }

// api puts the API server into a mode.
func api(mode string) func(*trial) error {
	return func(x *trial) error {
		x.note("%s's API server: %s", x.first().Name, mode)
		return x.first().SetAPI(x.ctx, mode)
	}
}

// everywhere plays something on all servers.
func everywhere(do func(*trial) error) func(*trial) error {
	return steps(do, on(1, do), on(2, do))
}

// act is what happens at a time of a sequence.
type act struct {
	at time.Duration
	do func(*trial) error
}

// sequence plays acts at their times.
func sequence(acts ...act) func(*trial) error {
	return func(x *trial) error {
		began := time.Now()
		for _, a := range acts {
			x.wait(time.Until(began.Add(a.at)))
			if err := a.do(x); err != nil {
				return err
			}
		}
		return nil
	}
}

// leaderDies is what the survivors go through when etcd's leader dies: both lose the
// datastore, one of them for long, and that one's K3s gives up and starts again.
func leaderDies(x *trial) error {
	lost, ready := api("etcd-lost"), api("ready")
	return sequence(
		act{0, die}, act{0, on(1, lost)}, act{0, on(2, lost)},
		act{4500 * time.Millisecond, on(1, ready)},
		act{11 * time.Second, on(2, signalAPI(syscall.SIGKILL))},
		act{16 * time.Second, on(2, restartAPI)},
		act{21 * time.Second, func(x *trial) error { return x.holds(x.second()) }},
	)(x)
}

// leaderCutOff is what all go through when etcd's leader is cut off: it knows at once,
// and its K3s gives up.
func leaderCutOff(x *trial) error {
	lost, ready := api("etcd-lost"), api("ready")
	return sequence(
		act{0, cutFirst}, act{0, api("etcd-lost-fast")}, act{0, on(1, lost)}, act{0, on(2, lost)},
		act{3100 * time.Millisecond, on(1, ready)},
		act{10700 * time.Millisecond, signalAPI(syscall.SIGKILL)},
		act{18100 * time.Millisecond, on(2, ready)},
		act{19 * time.Second, func(x *trial) error { return x.holds(x.second()) }},
	)(x)
}

// restartAPI starts the API server as K3s starts: it is ready after some seconds.
func restartAPI(x *trial) error { return x.first().StartAPI("start") }

func cutFirst(x *trial) error  { return x.cutOff(x.first()) }
func joinFirst(x *trial) error { return x.join(x.first()) }

// cutOff keeps a server's frames from the others and theirs from it.
func (x *trial) cutOff(s *cluster.Server) error {
	x.note("%s is cut off", s.Name)
	x.cut(s)
	return x.Lab.Cut(s.Node)
}

func (x *trial) join(s *cluster.Server) error {
	x.note("%s is joined again", s.Name)
	x.joined(s)
	return x.Lab.Join(s.Node)
}
