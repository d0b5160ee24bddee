package interop

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// both waits until the agent and the other router are Active beside each other.
func (s *segment) both(a *agent, other station) {
	s.t.Helper()
	s.until("two Active routers", func() error {
		for _, x := range []station{a, other} {
			if is, err := x.active(); err != nil || !is {
				return fmt.Errorf("%s: Active is %v: %w", x, is, err)
			}
		}
		return nil
	})
}

// keepalived before 2.3.3 drops what names other addresses than its own.
func TestC49AddressMismatch(t *testing.T) {
	t.Parallel()
	s := newSegment(t, vrrp.IPv4, 1, "keepalived")
	a := s.agents[0]
	k := newKeepalived(s, keepalivedConfig{Priority: low, More: []netip.Addr{netip.MustParseAddr("198.51.100.101")}})
	a.configure(high)
	k.start()
	a.start()
	s.both(a, k)
	a.complains("198.51.100.21 uses VRID 51 for other addresses (198.51.100.100, 198.51.100.101)")
	a.disputes(k)
}

func TestC50IntervalMismatch(t *testing.T) {
	t.Run("vipd learns", func(t *testing.T) {
		t.Parallel()
		s := newSegment(t, vrrp.IPv4, 1, "keepalived")
		a, k := s.agents[0], newKeepalived(s, keepalivedConfig{Priority: high, Interval: time.Second})
		a.configure(low)
		k.start()
		s.settle(k)
		a.start()
		// Until it has heard keepalived it goes by its own interval, and may rise for
		// a moment between two advertisements: the complaint comes first.
		a.complains("198.51.100.21 advertises each 1s, this node each 250ms")
		s.settle(k, a)
		died := time.Now()
		k.die()
		s.settle(a)
		if n := a.transitions(died); n != 1 {
			t.Errorf("%d changes of state, not one to Active", n)
		}
		s.takenOverAfter(3*time.Second, time.Second, died)
	})
	t.Run("keepalived learns", func(t *testing.T) {
		t.Parallel()
		s := newSegment(t, vrrp.IPv4, 1, "keepalived")
		a, k := s.agents[0], newKeepalived(s, keepalivedConfig{Priority: low})
		a.configure(high, setting("advert_interval", `"1s"`))
		k.start()
		s.settle(k)
		a.start()
		s.settle(a, k)
		died := time.Now()
		a.die()
		s.settle(k)
		s.takenOverAfter(3*time.Second, time.Second, died)
	})
}

// takenOverAfter checks that the router of priority low was first heard again
// the given time, and at most the slack and its Skew_Time longer, after the last
// advertisement of the one of priority high, which died.
func (s *segment) takenOverAfter(least, slack time.Duration, died time.Time) {
	s.t.Helper()
	wire := s.wire.stop()
	silent := last(s.t, wire, high, died)
	gap := first(s.t, wire, low, died).At.Sub(silent.At)
	skew := (256 - low) * least / 3 / 256
	if gap < least || gap > least+skew+slack {
		s.t.Errorf("taken over %v after the last advertisement; Active_Down_Interval is %v", gap, least+skew)
	}
}

func TestVersion2IsNamed(t *testing.T) {
	t.Parallel()
	s := newSegment(t, vrrp.IPv4, 1, "keepalived")
	a, k := s.agents[0], newKeepalived(s, keepalivedConfig{Version: 2, Priority: low, Interval: time.Second})
	a.configure(high)
	k.start()
	a.start()
	a.complains("198.51.100.21 speaks VRRP version 2 for VRID 51: set it to version 3 (keepalived: vrrp_version 3)")
	s.both(a, k)
}

func TestChecksumKinds(t *testing.T) {
	const rfc9568 = `"rfc9568"`
	t.Run("keepalived refuses RFC 9568's", func(t *testing.T) {
		t.Parallel()
		s := newSegment(t, vrrp.IPv4, 1, "keepalived")
		a, k := s.agents[0], newKeepalived(s, keepalivedConfig{Priority: low})
		a.configure(high, setting("checksum", rfc9568))
		k.start()
		a.start()
		s.both(a, k)
		a.disputes(k)
	})
	t.Run("vipd accepts both", func(t *testing.T) {
		t.Parallel()
		s := newSegment(t, vrrp.IPv4, 2)
		modern, usual := s.agents[0], s.agents[1]
		modern.configure(high, setting("checksum", rfc9568))
		usual.configure(low)
		usual.start()
		s.settle(usual)
		modern.start()
		s.settle(modern, usual)
		usual.counts("checksum-rfc9568")
		modern.counts("checksum-pseudo-header")
		for _, got := range s.wire.stop("vrrp.v3_checksum_as_in_v2:TRUE") {
			if got.Priority == high && got.Checksum != "good" {
				t.Fatalf("checksum is %s", got.Checksum)
			}
		}
	})
}

// counts waits until a counter of the agent has grown.
func (a *agent) counts(name string) {
	a.segment.t.Helper()
	a.segment.until(name, func() error {
		r, err := a.router()
		if err == nil && r.Counters[name] == 0 {
			err = fmt.Errorf("it is zero: %v", r.Counters)
		}
		return err
	})
}

// quiet checks that the status names no problem.
func (a *agent) quiet() {
	a.segment.t.Helper()
	r, err := a.router()
	a.segment.must(err)
	if len(r.Problems) > 0 {
		a.segment.t.Errorf("problems: %s", strings.Join(r.Problems, "; "))
	}
}
