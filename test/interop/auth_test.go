package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipd/vipd/vrrp"
)

// authenticate adds [auth] to the configuration of the agents. The clock of a
// machine that runs tests need not be synchronised.
func (s *segment) authenticate(mode string, agents ...*agent) {
	s.t.Helper()
	key := filepath.Join(s.t.TempDir(), "key")
	s.must(os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	for _, a := range agents {
		a.config += fmt.Sprintf("\n[auth]\nmode = %q\nanti_replay = \"monotonic\"\nkeys = [{ id = 1, file = %q }]\n", mode, key)
	}
}

func TestAuthBetweenAgents(t *testing.T) {
	for _, f := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
		t.Run(f.String(), func(t *testing.T) {
			t.Parallel()
			s := newSegment(t, f, 2)
			weak, strong := s.agents[0], s.agents[1]
			weak.configure(low)
			strong.configure(high)
			s.authenticate("enforce", weak, strong)
			weak.start()
			s.settle(weak)
			strong.start()
			s.settle(strong, weak)
			strong.stop()
			s.settle(weak)
			weak.quiet()
			wire := s.wire.stop()
			if f == vrrp.IPv4 {
				wire = uncheckable(wire)
			}
			s.wellFormed(wire)
		})
	}
}

// uncheckable excuses the checksum of what carries an IPv4 trailer, which covers
// the message before the trailer alone: tshark takes it to cover all.
func uncheckable(wire []advert) []advert {
	for i := range wire {
		if wire[i].Checksum == "bad" && strings.HasPrefix(wire[i].Expert, "Bad checksum") {
			wire[i].Checksum, wire[i].Expert = "good", ""
		}
	}
	return wire
}

// besideKeepalived makes a segment with an agent that authenticates, and keepalived,
// which does not. They have the given priorities.
func besideKeepalived(t *testing.T, mode string, ours, theirs int) (*segment, *agent, *keepalived) {
	t.Helper()
	t.Parallel()
	s := newSegment(t, vrrp.IPv4, 1, "keepalived")
	a, k := s.agents[0], newKeepalived(s, keepalivedConfig{Priority: theirs})
	a.configure(ours)
	s.authenticate(mode, a)
	return s, a, k
}

func TestAuthBesideKeepalived(t *testing.T) {
	t.Run("enforce refuses", func(t *testing.T) {
		s, a, k := besideKeepalived(t, "enforce", low, high)
		k.start()
		a.start()
		s.both(a, k)
		a.complains("198.51.100.21 does not sign its advertisements: give it the [auth] of this node, or set mode to \"permissive\" until all have it")
		a.counts("auth-missing")
	})
	t.Run("permissive accepts", func(t *testing.T) {
		s, a, k := besideKeepalived(t, "permissive", low, high)
		k.start()
		s.settle(k)
		a.start()
		s.settle(k, a)
		a.complains("198.51.100.21 does not sign its advertisements yet")
		k.stop()
		s.settle(a)
	})
	// keepalived before 2.4 drops what is longer than it expects.
	t.Run("keepalived drops what permissive signs", func(t *testing.T) {
		s, a, k := besideKeepalived(t, "permissive", high, low)
		k.start()
		a.start()
		s.both(a, k)
		a.disputes(k)
	})
	t.Run("receive-only is plain VRRP", func(t *testing.T) {
		s, a, k := besideKeepalived(t, "receive-only", high, low)
		k.start()
		s.settle(k)
		a.start()
		s.settle(a, k)
		a.stop()
		s.settle(k)
	})
}
