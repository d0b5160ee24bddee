package bgp

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// story is a machine, and what it did so far.
type story struct {
	*Machine
	now vrrp.Instant
	did []string
}

func (s *story) note(effects []Effect) {
	for _, e := range effects {
		words := e.Kind.String()
		if e.Kind == Announce {
			words += " " + e.Standing.String()
		}
		s.did = append(s.did, fmt.Sprintf("%v %s", time.Duration(s.now), words))
		if e.Kind == Claim {
			s.note(s.Claimed(s.now, true))
		}
	}
}

// until lets time go by.
func (s *story) until(d time.Duration) {
	for s.Deadline() <= vrrp.Instant(d) {
		s.now = s.Deadline()
		s.note(s.Tick(s.now))
	}
	s.now = vrrp.Instant(d)
}

var testPlan = Plan{Drain: 2 * time.Second, Linger: time.Second}

func TestMachine(t *testing.T) {
	ready := func(s *story) { s.note(s.Verdict(s.now, vrrp.Ready, time.Second)) }
	up := func(s *story) { s.note(s.Start(0)); ready(s); s.until(time.Second) }
	const announced = "1s claim, 1s announce ready"
	for _, c := range []struct {
		name string
		plan Plan
		play func(*story)
		want string
	}{
		{"announces when it has been ready for as long as it must", testPlan, up, announced},
		{"never ready: never claims", testPlan, func(s *story) {
			s.note(s.Start(0))
			s.note(s.Verdict(0, vrrp.Degraded, time.Second))
			s.note(s.Verdict(0, vrrp.Down, time.Second))
			s.until(time.Hour)
		}, ""},
		{"a predecessor was ready", Plan{HasBeenReady: true}, func(s *story) {
			s.note(s.Start(0))
			s.note(s.Verdict(0, vrrp.Degraded, time.Second))
		}, "0s claim, 0s announce degraded"},
		{"degraded at once, ready again after the hold", testPlan, func(s *story) {
			up(s)
			s.note(s.Verdict(s.now, vrrp.Degraded, time.Second))
			s.until(3 * time.Second)
			ready(s)
			s.until(5 * time.Second)
		}, announced + ", 1s announce degraded, 4s announce ready"},
		{"down is the last resort", testPlan, func(s *story) {
			up(s)
			s.note(s.Verdict(s.now, vrrp.Down, 0))
			s.until(time.Hour)
		}, announced + ", 1s announce last resort"},
		{"down withdraws", Plan{ReleaseOnDown: true, Linger: time.Second}, func(s *story) {
			up(s)
			s.note(s.Verdict(s.now, vrrp.Down, 0))
			s.until(time.Hour)
		}, announced + ", 1s withdraw, 2s release"},
		{"ready again while the addresses linger", Plan{ReleaseOnDown: true, Linger: time.Second}, func(s *story) {
			up(s)
			s.note(s.Verdict(s.now, vrrp.Down, 0))
			s.note(s.Verdict(s.now, vrrp.Ready, 0))
			s.until(time.Hour)
		}, announced + ", 1s withdraw, 1s announce ready"},
		{"a drain leaves first", testPlan, func(s *story) {
			up(s)
			s.note(s.Demote(s.now, true))
			s.until(time.Hour)
		}, announced + ", 1s announce leaving, 3s withdraw, 4s release"},
		{"resumed while it leaves", testPlan, func(s *story) {
			up(s)
			s.note(s.Demote(s.now, true))
			s.until(2 * time.Second)
			s.note(s.Demote(s.now, false))
			s.until(time.Hour)
		}, announced + ", 1s announce leaving, 2s announce ready"},
		{"the API server dies while it leaves", testPlan, func(s *story) {
			up(s)
			s.note(s.Demote(s.now, true))
			s.note(s.Permit(s.now, false))
			s.until(time.Hour)
		}, announced + ", 1s announce leaving, 1s withdraw, 2s release"},
		{"K3s has ended", testPlan, func(s *story) {
			up(s)
			s.note(s.Permit(s.now, false))
			s.until(time.Hour)
		}, announced + ", 1s withdraw, 2s release"},
		{"K3s looks for its address", testPlan, func(s *story) {
			up(s)
			s.note(s.Permit(s.now, false))
			s.note(s.LetGo(s.now))
		}, announced + ", 1s withdraw, 1s release"},
		{"stopped", testPlan, func(s *story) {
			up(s)
			s.note(s.Shutdown(s.now))
			s.until(time.Hour)
		}, announced + ", 1s announce leaving, 3s withdraw, 4s release, 4s stopped"},
		{"stopped without having announced", testPlan, func(s *story) {
			s.note(s.Start(0))
			s.note(s.Shutdown(0))
		}, "0s stopped"},
		{"restarted", testPlan, func(s *story) {
			s.note(s.Resume(0, Ready))
			s.until(time.Minute)
			ready(s)
			s.until(time.Hour)
		}, "0s claim, 0s announce ready"},
		{"restarted, and down since", testPlan, func(s *story) {
			s.note(s.Resume(0, Ready))
			s.note(s.Verdict(0, vrrp.Down, 0))
		}, "0s claim, 0s announce ready, 0s announce last resort"},
		{"an address is taken off", testPlan, func(s *story) {
			up(s)
			s.note(s.Lost(s.now))
		}, announced + ", 1s claim"},
		{"the interface goes", testPlan, func(s *story) {
			up(s)
			s.note(s.Disable(s.now))
			s.until(time.Hour)
			s.note(s.Start(s.now))
		}, announced + ", 1s withdraw, 1s release, 1h0m0s claim, 1h0m0s announce ready"},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &story{Machine: NewMachine(c.plan)}
			c.play(s)
			if got := strings.Join(s.did, ", "); got != c.want {
				t.Errorf("it did\n%s\nnot\n%s", got, c.want)
			}
		})
	}
}

// TestClaimFails: what is not on the host is not announced, and is tried again.
func TestClaimFails(t *testing.T) {
	m := NewMachine(Plan{HasBeenReady: true})
	m.Start(0)
	m.Verdict(0, vrrp.Ready, 0)
	if e := m.Claimed(0, false); len(e) > 0 || m.Standing() != None {
		t.Fatalf("after a failed claim: %v, %v", e, m.Standing())
	}
	if m.Deadline() != vrrp.Instant(claimAgain) {
		t.Fatalf("it tries again at %v", m.Deadline())
	}
	if e := m.Tick(m.Deadline()); len(e) != 1 || e[0].Kind != Claim {
		t.Fatalf("then: %v", e)
	}
	m.Claimed(vrrp.Instant(claimAgain), true)
	if m.Standing() != Ready {
		t.Fatalf("in the end: %v", m.Standing())
	}
	// One that is on the host, but cannot be renewed.
	if e := m.Claimed(vrrp.Instant(2*claimAgain), false); len(e) != 1 || e[0].Kind != Withdraw {
		t.Fatalf("after it was lost: %v", e)
	}
}
