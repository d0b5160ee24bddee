package vrrp

import "testing"

// TestC68GradesOnTheWire goes through every configurable priority in every grade:
// the band tells the grade, a better grade outranks every worse one, and among
// degraded nodes the order of the configured priorities is never contradicted.
func TestC68GradesOnTheWire(t *testing.T) {
	grades := []Grade{Down, Degraded, Ready}
	highest := uint8(PriorityLeave)
	for _, g := range grades {
		last := highest
		for p := uint8(MinPriority); p <= MaxPriority; p++ {
			wire := WirePriority(g, p)
			if GradeOf(wire) != g {
				t.Errorf("%v, priority %d: %d on the wire is the band of %v", g, p, wire, GradeOf(wire))
			}
			if wire <= highest {
				t.Errorf("%v, priority %d: %d on the wire does not outrank %d of a worse grade", g, p, wire, highest)
			}
			if wire < last {
				t.Errorf("%v, priority %d: %d on the wire is less than the %d of a lower one", g, p, wire, last)
			}
			last = wire
		}
		highest = last
	}
	if highest >= PriorityOwner {
		t.Errorf("priority %d reaches that of the owner", highest)
	}
}

func TestWirePriority(t *testing.T) {
	for _, tt := range []struct {
		grade Grade
		p     uint8
		want  uint8
	}{
		{Ready, 100, 100}, {Ready, 254, 254}, {Ready, PriorityOwner, PriorityOwner},
		{Degraded, 100, 2}, {Degraded, 177, 50}, {Degraded, 254, 99}, {Degraded, PriorityOwner, 99}, {Degraded, 1, 2}, {Degraded, 99, 2},
		{Down, 100, 1}, {Down, 254, 1}, {Down, PriorityOwner, 1}, {0, 200, 1},
	} {
		if got := WirePriority(tt.grade, tt.p); got != tt.want {
			t.Errorf("WirePriority(%v, %d) = %d, want %d", tt.grade, tt.p, got, tt.want)
		}
	}
}

func TestGradeOf(t *testing.T) {
	for p, want := range map[uint8]Grade{PriorityLeave: 0, 1: Down, 2: Degraded, 99: Degraded, 100: Ready, 254: Ready, PriorityOwner: Ready} {
		if got := GradeOf(p); got != want {
			t.Errorf("GradeOf(%d) = %v, want %v", p, got, want)
		}
	}
}
