package agent

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/vrrp"
)

// stranger returns the n-th of many senders.
func stranger(n int) netip.Addr {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], 0xcb007100+uint32(n)) // 203.0.113.0 and on
	return netip.AddrFrom4(b)
}

func TestPeersBounded(t *testing.T) {
	var p peers
	for n := range 10 * maxPeers {
		p.heard(vrrp.Advert{Src: stranger(n), At: vrrp.Instant(n)})
		p.heard(vrrp.Advert{Src: stranger(n), At: vrrp.Instant(n), Priority: 100})
	}
	got := p.latest()
	if len(got) != maxPeers {
		t.Fatalf("%d peers remembered, want %d", len(got), maxPeers)
	}
	for i, a := range got {
		if want := stranger(10*maxPeers - 1 - i); a.Src != want || a.Priority != 100 {
			t.Errorf("peer %d: %v with priority %d, want %v with 100", i, a.Src, a.Priority, want)
		}
	}
}

func TestNotices(t *testing.T) {
	words := func(s string) func() string { return func() string { return s } }
	synctest.Test(t, func(t *testing.T) {
		var n notices
		told := 0
		tell := func(who int) {
			if _, due := n.due(oddity{src: stranger(who)}, time.Now(), words("odd")); due {
				told++
			}
		}
		for range 1000 {
			tell(1)
		}
		if told != 1 {
			t.Errorf("told %d times, want once", told)
		}
		time.Sleep(stillOdd)
		if got := n.current(time.Now()); len(got) != 0 {
			t.Errorf("still odd after %v: %q", stillOdd, got)
		}
		time.Sleep(tellAgain)
		tell(1)
		if told != 2 {
			t.Errorf("told %d times after %v, want again", told, tellAgain)
		}
		if _, due := n.due(oddity{src: stranger(2)}, time.Now(), words("")); due {
			t.Error("nothing to say, and it was due")
		}
	})
}

// A flood of made-up senders takes no more than its share of memory, and does not
// silence the notices for ever.
func TestNoticesBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var n notices
		for who := range 10000 {
			n.due(oddity{src: stranger(who)}, time.Now(), func() string { return "odd" })
		}
		if len(n.seen) > maxNotices {
			t.Errorf("%d remembered, want at most %d", len(n.seen), maxNotices)
		}
		time.Sleep(tellAgain + time.Second)
		if _, due := n.due(oddity{src: stranger(20000)}, time.Now(), func() string { return "odd" }); !due {
			t.Error("what is odd is not told any more")
		}
	})
}

// The loops never wait for the disk: while the log blocks, entries wait, and what
// is too much is counted.
func TestRecorderNeverBlocks(t *testing.T) {
	gate := make(chan struct{})
	written, told := 0, 0
	r := newRecorder(slog.New(slog.NewTextHandler(writerFunc(func(p []byte) (int, error) {
		<-gate
		if i := bytes.Index(p, []byte("count=")); i >= 0 {
			_, err := fmt.Sscanf(string(p[i:]), "count=%d", &told)
			return len(p), err
		}
		written++
		return len(p), nil
	}), nil)))
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() { defer close(ended); r.run(ctx) }()
	all := make(chan struct{})
	go func() {
		defer close(all)
		for n := range 2 * backlog {
			r.drain(fmt.Sprint(n))
		}
	}()
	select {
	case <-all:
	case <-time.After(5 * time.Second):
		t.Fatal("the recorder waits for the log")
	}
	if r.lost < backlog-1 {
		t.Errorf("%d entries lost, want about %d", r.lost, backlog)
	}
	close(gate)
	cancel()
	<-ended // having written what was left
	if told == 0 || written+told != 2*backlog {
		t.Errorf("%d entries written and %d told to be lost, want %d in all", written, told, 2*backlog)
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

func TestHistoryBounded(t *testing.T) {
	r := newRecorder(slog.New(slog.NewTextHandler(io.Discard, nil)))
	changes := 0
	r.changed = func() { changes++ }
	for n := range historySize + 10 {
		r.write(entry{event: control.Event{Kind: control.KindDrain, Cause: fmt.Sprint(n)}})
		r.write(entry{msg: "of the log alone"})
	}
	got := r.events()
	if len(got) != historySize || got[0].Cause != "10" || got[historySize-1].Cause != fmt.Sprint(historySize+9) {
		t.Errorf("%d events, from %s to %s", len(got), got[0].Cause, got[len(got)-1].Cause)
	}
	if changes != historySize+10 {
		t.Errorf("changed was called %d times, want once an event", changes)
	}
	got[0].Cause = "changed by the reader"
	if r.events()[0].Cause != "10" {
		t.Error("a reader changed the history")
	}
}

func TestRecorderSaysOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRecorder(slog.New(slog.DiscardHandler))
		for range 10 {
			r.failed("ask", errors.New("no"))
		}
		r.failed("ask", errors.New("another"))
		time.Sleep(sayAgain)
		r.failed("ask", errors.New("no"))
		if got := len(r.entries); got != 3 {
			t.Errorf("%d entries, want 3", got)
		}
		for n := range 10 * backlog {
			r.first(fmt.Sprint(n))
		}
		if len(r.said) > backlog+1 {
			t.Errorf("%d sayings remembered", len(r.said))
		}
	})
}

func TestExplain(t *testing.T) {
	tests := []struct {
		name  string
		t     vrrp.Transition
		unfit string
		want  string
	}{
		{"startup", vrrp.Transition{Cause: vrrp.CauseStartup}, "", "started"},
		{"resumed", vrrp.Transition{Cause: vrrp.CauseResumed}, "", "the agent was restarted and goes on"},
		{"owner", vrrp.Transition{Cause: vrrp.CauseOwner}, "", "it owns the addresses"},
		{"silence", vrrp.Transition{Cause: vrrp.CauseSilence, Peer: peer}, "", "198.51.100.2 fell silent"},
		{"nobody", vrrp.Transition{Cause: vrrp.CauseSilence}, "", "no other router was heard"},
		{"left", vrrp.Transition{Cause: vrrp.CauseLeft, Peer: peer}, "", "198.51.100.2 left"},
		{"unfit", vrrp.Transition{Cause: vrrp.CauseUnfit, Peer: peer, Priority: 1}, "", "198.51.100.2 ranks as down"},
		{"degraded", vrrp.Transition{Cause: vrrp.CauseUnfit, Peer: peer, Priority: 60}, "", "198.51.100.2 ranks as degraded"},
		{"preempt", vrrp.Transition{Cause: vrrp.CausePreempt, Peer: peer, Priority: 150}, "", "preempted 198.51.100.2, priority 150; ours is 200"},
		{"outranked", vrrp.Transition{Cause: vrrp.CauseOutranked, Peer: peer, Priority: 250}, "", "preempted by 198.51.100.2, priority 250"},
		{"outranked, unfit", vrrp.Transition{Cause: vrrp.CauseOutranked, Peer: peer, Priority: 250}, "api: connection refused",
			"api: connection refused; 198.51.100.2 has taken over"},
		{"tie-break", vrrp.Transition{Cause: vrrp.CauseTieBreak, Peer: peer}, "", "198.51.100.2 has the same priority and the higher address"},
		{"stalled", vrrp.Transition{Cause: vrrp.CauseStalled, Peer: peer}, "", "this host stood still, and 198.51.100.2 has taken over"},
		{"mute", vrrp.Transition{Cause: vrrp.CauseMute, Peer: peer}, "", "this host cannot send advertisements, and 198.51.100.2 can"},
		{"shutdown", vrrp.Transition{Cause: vrrp.CauseShutdown}, "", "the agent was stopped"},
		{"disabled", vrrp.Transition{Cause: vrrp.CauseDisabled}, "", "the interface is not usable"},
		{"withheld", vrrp.Transition{Cause: vrrp.CauseWithheld}, "", "K3s is not running here: the addresses stay off until it is"},
		{"unready", vrrp.Transition{Cause: vrrp.CauseUnready}, "api: timeout", "api: timeout"},
	}
	seen := make(map[vrrp.Cause]bool)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, explain(tt.t, tt.unfit, 200)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
		seen[tt.t.Cause] = true
	}
	for c := vrrp.CauseStartup; c <= vrrp.CauseWithheld; c++ {
		if !seen[c] {
			t.Errorf("no test for %v", c)
		}
	}
}

// Every reason that an operator can do something about is explained; ordinary
// traffic is not, nor what this agent never refuses.
func TestExplainRefusal(t *testing.T) {
	silent := map[vrrp.Reason]bool{vrrp.OwnSource: true, vrrp.BadVRID: true, vrrp.BadFirstAddress: true}
	for _, r := range vrrp.Reasons() {
		words := explainRefusal(peer, r, &vrrp.Packet{Version: 2, VRID: 51})
		if (words == "") != silent[r] {
			t.Errorf("%v: %q", r, words)
		}
	}
}
