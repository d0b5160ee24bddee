package main

import (
	"slices"
	"time"
)

// faults returns all, in the order of the table.
func faults(o options) []fault {
	return slices.Concat(nodeFaults(), agentFaults(), apiFaults(o), datastoreFaults(), networkFaults(), adversityFaults(o), interfaceFaults(), hostFaults(), plannedMoves(o))
}

func nodeFaults() []fault {
	return []fault{
		{name: "no fault", play: last(5 * time.Second), bound: unmoved()},
		{name: "node death", ends: 1, play: steps(die, movedToSecond), heal: revive, bound: unplanned(downTime, 2)},
		{name: "Backup's death", ends: 1, play: backupDies, heal: backupRevives, bound: unmoved()},
		{name: "two nodes die, one after the other", ends: 2, play: twoDie, heal: bothRevive, bound: unplanned(downTime, 4)},
	}
}

// last lets time pass.
func last(d time.Duration) func(*trial) error {
	return func(x *trial) error {
		x.wait(d)
		return nil
	}
}

func movedToSecond(x *trial) error { return x.moved(x.second()) }

// die ends a node as a loss of power does: its addresses are gone with it.
func die(x *trial) error { return x.die(x.first()) }

func revive(x *trial) error { return x.revive(x.first()) }

func backupDies(x *trial) error {
	if err := x.die(x.second()); err != nil {
		return err
	}
	return last(3 * time.Second)(x)
}

func backupRevives(x *trial) error { return x.revive(x.second()) }

func twoDie(x *trial) error {
	if err := steps(die, movedToSecond)(x); err != nil {
		return err
	}
	if err := x.die(x.second()); err != nil {
		return err
	}
	return x.moved(x.third())
}

func bothRevive(x *trial) error {
	if err := x.revive(x.second()); err != nil {
		return err
	}
	return x.revive(x.first())
}
