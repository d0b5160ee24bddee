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

// anything is a bound that bounds nothing.
const anything = -1

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
	unicast   time.Duration // for so much longer with unicast peers
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
		time(b.unicast, "with unicast peers more:")
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
	time := func(got, most time.Duration, what string) {
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
	// Whoever stood still himself has seen no outage.
	time(s.Outage-s.Noise, b.outage, "outage")
	count(s.lost(), b.lost, "lost")
	resets := b.resets
	if resets > 0 { // what the client began while it stood still was in flight together
		resets += int(s.Noise / usualInterval)
	}
	count(s.resets(), resets, "resets")
	if s.Idle == hangs && b.idle >= 0 {
		out = append(out, "the idle connection hangs")
	}
	time(s.IdleBack, b.idle, "idle back")
	two := b.two
	if strings.Contains(s.Variant, "unicast") && two >= 0 {
		two += b.unicast
	}
	time(s.Two-s.Noise, two, "two holders")
	time(s.Nobody-s.Noise, b.nobody, "nobody")
	count(s.Moves, b.moves, "moves")
	time(s.Settled, settleBound, "settled after")
	return out
}

// unmoved is the bound of what must not move or cost anything.
func unmoved() bound { return bound{outage: 200 * time.Millisecond, two: 0, nobody: 0} }

// planned is the bound of moves that are planned, there and back.
func planned(moves int) bound {
	return bound{
		outage: 200 * time.Millisecond, resets: 2 * moves, idle: time.Second,
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
	// meeting is how long two holders that hear each other again may both hold: an
	// interval, Skew_Time and the linger.
	meeting = 400 * time.Millisecond
	// neighbours is how long the kernel waits until it asks for the MAC address of a
	// unicast peer again, which was long not to be reached.
	neighbours = time.Second
)

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
