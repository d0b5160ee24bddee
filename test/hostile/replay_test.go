package hostile

import (
	"encoding/binary"
	"fmt"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/cluster"
)

// stale is past the default window of 5 s.
const stale = 10 * time.Second

// The worst replay: the Active is gone, and what it said is said again, so that its
// successor yields to nobody. A restart of that one opens no door either. By which counter
// it is refused depends on the kind of protection.
func TestReplay(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		binaries func() cluster.Binaries
		late     string // the counter of what is older than the window
	}{
		"time":      {func() cluster.Binaries { return synchronised }, "auth-stale"},
		"monotonic": {func() cluster.Binaries { return binaries }, "auth-replay"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, 2, tt.binaries(), secured(t, name))
			s := stranger(t, c)
			first, second := c.Servers[0], c.Servers[1]

			v4, v6 := advertOf(first.Addr), advertOf(linkLocal(t, first.Node))
			frames := s.record(1200*time.Millisecond, func(f []byte) bool { return v4(f) || v6(f) })
			recorded := time.Now()
			moved := unmoved(t, c)
			s.replay(second, frames, "auth-replay") // its sender still lives
			moved()

			must(t, first.Die())
			until(t, "the second to hold the VIPs", func() error { return is(second, "Active") })
			p := watch(t, c)
			s.replay(second, frames, "auth-replay")
			restartAgent(t, second)
			untouched(t, p)
			s.replay(second, frames, "auth-replay")
			if name == "time" && time.Since(recorded) > 5*time.Second {
				t.Fatal("this machine is too slow: what was recorded is stale already")
			}

			<-time.After(time.Until(recorded.Add(stale))) // the scenario, not a guess
			p = watch(t, c)
			s.replay(second, frames, tt.late)
			restartAgent(t, second)
			untouched(t, p)
			s.replay(second, frames, tt.late)
		})
	}
}

// replay sends the frames again and waits until all were refused for a reason. They
// must not do any harm.
func (s *station) replay(to *cluster.Server, frames [][]byte, reason string) {
	s.t.Helper()
	if len(frames) < 6 {
		s.t.Fatalf("recorded only %d", len(frames))
	}
	byFamily := make(map[string]uint64)
	for _, f := range frames {
		byFamily[familyOf(f)]++
	}
	if len(byFamily) != 2 {
		s.t.Fatalf("recorded %v", byFamily)
	}
	moves, before := transitions(s.t, to), make(map[string]uint64)
	for family := range byFamily {
		before[family] = counters(s.t, to, family)[reason]
	}
	s.send(frames...)
	until(s.t, "all to be counted", func() error {
		for family, n := range byFamily {
			now := counters(s.t, to, family)
			if now[reason]-before[family] < n {
				return fmt.Errorf("%d %s in %s, want %d: %v", now[reason]-before[family], reason, family, n, now)
			}
		}
		return nil
	})
	if n := transitions(s.t, to) - moves; n != 0 {
		s.t.Errorf("%s changed its state %d times", to.Name, n)
	}
}

// familyOf says what is in a frame.
func familyOf(frame []byte) string {
	if binary.BigEndian.Uint16(frame[12:]) == unix.ETH_P_IP {
		return "IPv4"
	}
	return "IPv6"
}

// restartAgent restarts an agent, which goes on as what it was.
func restartAgent(t *testing.T, s *cluster.Server) {
	t.Helper()
	must(t, s.SignalAgent(syscall.SIGUSR1))
	must(t, s.AwaitAgent(t.Context()))
	must(t, s.RestartAgent())
	until(t, "the agent to go on", func() error { return is(s, "Active") })
}
