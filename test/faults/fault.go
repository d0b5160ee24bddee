package main

import (
	"fmt"
	"strings"
	"time"
)

// fault is something that happens to a cluster while a client asks.
type fault struct {
	name  string
	note  string             // what the table should say besides
	only  func(variant) bool // nil: it can be played in every variant
	runs  int                // 0: usualRuns
	alone bool               // it takes so much of the host that nothing may be played beside it
	setUp func(*trial) error // before the agents start
	// play makes the fault, and returns when it is to be healed.
	play func(*trial) error
	heal func(*trial) error // nil: nothing is left to heal
	ends int                // as many agents, or the nodes that they run on, at most
	// stays is set where a node may keep what it holds when all are well again.
	stays bool
	// each is set where chance decides for each VIP anew how long two hold it.
	each bool
	// normalTime starts the agents without real-time scheduling.
	normalTime bool
	// swift is set where an agent has to start within 3A. One with the race detector does not.
	swift bool
	bound bound
}

// ended says if more agents ended than the fault accounts for.
func (f fault) ended(before, after []int) []string {
	n := 0
	for i := range before {
		if before[i] != after[i] {
			n++
		}
	}
	if n <= f.ends {
		return nil
	}
	return []string{fmt.Sprintf("%d agents ended, which the fault does to %d: %v became %v", n, f.ends, before, after)}
}

// usualRuns is how often a fault is played that says nothing about it.
const usualRuns = 3

// usualInterval is from one connection of the client to the next.
const usualInterval = 5 * time.Millisecond

// lastInterval is that of the client that asks the last of many VIPs.
const lastInterval = 20 * time.Millisecond

// anything is a bound that bounds nothing.
const anything = -1

// jitter is by how much the ledger may be wrong, for each kernel is heard by a reader of
// its own, and each has to be scheduled.
const jitter = 10 * time.Millisecond

// settleBound is how long after the healing of any fault the cluster may take to be
// in its normal state.
const settleBound = 5 * time.Second

// bound is what may be seen at most. Times of 0 allow what a planned move takes.
type bound struct {
	outage    time.Duration // without an answer to the client
	lost      int           // connections: refused, timed out, unanswered, unreachable
	resets    int           // connections cut off in flight
	idle      time.Duration // until an idle connection is back; anything: it may hang
	two       time.Duration // two holders that are connected
	unicast   time.Duration // likewise with unicast peers; 0: as with others
	healed    time.Duration // likewise, but from the healing on; 0: not asked for
	twoMedian time.Duration // 0: not asked for
	nobody    time.Duration // no holder that is connected
	moves     int
}

// String is the bound in words.
func (b bound) String() string {
	var out []string
	time := func(d time.Duration, what string) {
		if d >= 0 {
			out = append(out, what+" "+short(d))
		}
	}
	count := func(n int, what string) {
		if n >= 0 {
			out = append(out, fmt.Sprintf("%s %d", what, n))
		}
	}
	time(b.outage, "outage")
	count(b.lost, "lost")
	count(b.resets, "resets")
	time(b.idle, "idle back")
	time(b.two, "two")
	if b.unicast > 0 {
		time(b.unicast, "two with unicast peers")
	}
	if b.healed > 0 {
		time(b.healed, "two after the healing")
	}
	if b.twoMedian > 0 {
		time(b.twoMedian, "two in the median")
	}
	time(b.nobody, "nobody")
	count(b.moves, "moves")
	return strings.Join(out, ", ")
}

// broken lists what of a sample is beyond the bound.
func (b bound) broken(s sample) []string {
	var out []string
	long := func(got, most time.Duration, what string) {
		if most >= 0 && got > most {
			out = append(out, fmt.Sprintf("%s %s, bound %s", what, short(got), short(most)))
		}
	}
	count := func(got, most int, what string) {
		if most >= 0 && got > most {
			out = append(out, fmt.Sprintf("%s %d, bound %d", what, got, most))
		}
	}
	if s.Error != "" {
		return []string{s.Error}
	}
	out = append(out, s.Alarms...)
	// A client that stood still itself has seen no outage.
	long(s.Outage-s.Noise, b.outage, "outage without the client's noise")
	count(s.lost(), b.lost, "lost")
	count(s.resets(), b.resets, "resets")
	if s.Idle == hangs && b.idle >= 0 {
		out = append(out, "the idle connection hangs")
	}
	long(s.IdleBack, b.idle, "idle back")
	// Nor does the client's noise excuse what the kernels tell.
	told := func(got, most time.Duration, what string) {
		if got > most+jitter {
			long(got, most, what)
		}
	}
	two := b.two
	if strings.Contains(s.Variant, "unicast") && b.unicast > 0 {
		two = b.unicast
	}
	told(s.Two, two, "two holders")
	if b.healed > 0 {
		told(s.TwoHealed, b.healed, "two holders after the healing")
	}
	told(s.Nobody, b.nobody, "nobody")
	count(s.Moves, b.moves, "moves")
	long(s.Settled, settleBound, "settled after")
	return out
}

// unmoved is the bound of what must not move or cost anything.
func unmoved() bound { return bound{outage: 200 * time.Millisecond, two: 0, nobody: 0} }

// inFlight is how many handshakes a move may cut off: one begins each 5 ms, and with 32 VIPs
// that move at once one takes up to 15.
const inFlight = 3

// planned is the bound of moves that are planned, there and back.
func planned(moves int) bound {
	return bound{
		outage: 200 * time.Millisecond, resets: inFlight * moves, idle: time.Second,
		two: 200 * time.Millisecond, nobody: 0, moves: moves,
	}
}

const (
	// downTime is the longest Active_Down_Interval here, 3A + Skew_Time, and what it takes
	// to claim and to be heard.
	downTime = 900 * time.Millisecond
	// locktime is how long hosts keep to what they were told last, then the next step of
	// the announcements, and a claim.
	locktime = 1300 * time.Millisecond
	// lastWord is how long clients may be with an Active that is deaf until the one that hears
	// it has answered its announcement, after 0.1 s, and they have turned round.
	lastWord = 300 * time.Millisecond
	// meeting is how long two holders that hear each other again may both hold: an
	// interval, Skew_Time and the linger.
	meeting = 400 * time.Millisecond
	// neighbours is that with unicast peers. If they were long not to be reached, the kernel
	// asks for their MAC addresses once a second, on either side, and only then do they
	// hear each other.
	neighbours = time.Second
)

// gradeFell is the bound where a node has seen its API server fail, and holds until another
// takes over: clients are without an answer for so long, but never without a holder.
func gradeFell(outage time.Duration) bound {
	return planned(2).with(func(b *bound) { b.outage, b.lost, b.resets = outage, anything, anything })
}

// unplanned is the bound of a failure that takes this long to be noticed and mended.
// What asks meanwhile is lost, and nobody tells an idle client.
func unplanned(outage time.Duration, moves int) bound {
	return bound{outage: outage, lost: anything, resets: anything, idle: anything, two: meeting, nobody: outage, moves: moves}
}

// with returns the bound, changed.
func (b bound) with(change func(*bound)) bound {
	change(&b)
	return b
}
