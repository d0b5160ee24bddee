package hostile

import (
	"fmt"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// downInterval is what a Backup of priority 240 waits for a silent Active.
const downInterval = 3*250*time.Millisecond + 16*250*time.Millisecond/256

// stale is past the default window of 5 s.
const stale = 10 * time.Second

// The worst replay: the Active is gone, and what it said is said again, so that its
// successor yields to nobody. By which counter it is refused depends on the kind of
// protection; what a restart of the receiver opens is in docs/security.md.
func TestReplay(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		binaries func() cluster.Binaries
		restart  []string // the counter after a restart at once, and after one that is late
		late     string   // without a restart
	}{
		"time":      {func() cluster.Binaries { return synchronised }, []string{accepted, "auth-stale"}, "auth-stale"},
		"monotonic": {func() cluster.Binaries { return binaries }, []string{accepted, accepted}, "auth-replay"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := start(t, 2, tt.binaries(), secured(t, name))
			s := stranger(t, c)
			first, second := c.Servers[0], c.Servers[1]

			frames := s.record(1200*time.Millisecond, advertOf(first.Addr))
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
			s.replayAfterRestart(c, frames, tt.restart[0])
			if name == "time" && time.Since(recorded) > 5*time.Second {
				t.Fatal("this machine is too slow: what was recorded is stale already")
			}

			<-time.After(time.Until(recorded.Add(stale))) // the scenario, not a guess
			p = watch(t, c)
			s.replay(second, frames, tt.late)
			restartAgent(t, second)
			untouched(t, p)
			s.replayAfterRestart(c, frames, tt.restart[1])
		})
	}
}

// accepted is the counter of what is not refused.
const accepted = "advertisement-rcvd"

// replay sends the frames again and waits until all were refused for a reason. They
// must not do any harm.
func (s *station) replay(to *cluster.Server, frames [][]byte, reason string) {
	s.t.Helper()
	before := transitions(s.t, to)
	s.replayed(to, frames, reason)
	if n := transitions(s.t, to) - before; n != 0 {
		s.t.Errorf("%s changed its state %d times", to.Name, n)
	}
}

// replayed sends the frames again and waits until a counter has grown by all of them.
func (s *station) replayed(to *cluster.Server, frames [][]byte, reason string) {
	s.t.Helper()
	if len(frames) < 3 {
		s.t.Fatalf("recorded only %d", len(frames))
	}
	before := counters(s.t, to, "IPv4")
	s.send(frames...)
	until(s.t, "all to be counted", func() error {
		now := counters(s.t, to, "IPv4")
		if now[reason]-before[reason] < uint64(len(frames)) {
			return fmt.Errorf("%d %s, want %d: %v", now[reason]-before[reason], reason, len(frames), now)
		}
		return nil
	})
}

// replayAfterRestart sends the frames again to an agent that knows of nothing. What it
// accepts it accepts once, and is itself again after the Active_Down_Interval.
func (s *station) replayAfterRestart(c *cluster.Cluster, frames [][]byte, reason string) {
	s.t.Helper()
	to := c.Servers[1]
	if reason != accepted {
		s.replay(to, frames, reason)
		return
	}
	p := watch(s.t, c)
	s.replayed(to, frames, reason)
	ended := time.Now()
	until(s.t, "it to hold the VIPs again", func() error { return is(to, "Active") })
	stays(s.t, 500*time.Millisecond, func() error { return is(to, "Active") })
	recovered(s.t, p, ended, downInterval+100*time.Millisecond)
	s.replay(to, frames, "auth-replay")
}

// restartAgent restarts an agent, which goes on as what it was.
func restartAgent(t *testing.T, s *cluster.Server) {
	t.Helper()
	must(t, s.SignalAgent(syscall.SIGUSR1))
	must(t, s.AwaitAgent(t.Context()))
	must(t, s.RestartAgent())
	until(t, "the agent to go on", func() error { return is(s, "Active") })
}
