package interop

import (
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// A bridge that snoops sends ff02::12 to nobody but those who joined it.
func TestC51SnoopingBridge(t *testing.T) {
	t.Parallel()
	s := newSegment(t, vrrp.IPv6, 1, "keepalived", "ip", "bridge")
	for _, option := range [][]string{
		{"mcast_query_response_interval", "50"}, {"mcast_startup_query_interval", "50"}, // or it floods for 10 s first
		{"mcast_snooping", "1"}, {"mcast_querier", "1"},
	} {
		_, err := s.cluster.Lab.Switch().Run("ip", append([]string{"link", "set", "br0", "type", "bridge"}, option...)...)
		s.must(err)
	}
	a, k := s.agents[0], newKeepalived(s, keepalivedConfig{Priority: low})
	a.configure(high)
	k.start()
	s.settle(k)
	a.start()
	s.settle(a, k)
	s.until("the bridge to know the members", func() error {
		out, err := s.cluster.Lab.Switch().Run("bridge", "mdb", "show")
		for _, port := range []string{a.server.Name, s.peer.Name} {
			if err == nil && !strings.Contains(out, "port "+port+" grp ff02::12") {
				err = &missing{port, out}
			}
		}
		return err
	})
	a.stop()
	s.settle(k)
	a.start()
	s.settle(a, k)

	bystander := record(t, s.cluster.Client, "eth0")
	from := time.Now()
	sent := func() uint64 {
		r, err := a.router()
		s.must(err)
		return r.Counters["advertisement-sent"]
	}
	before := sent()
	s.until("some more advertisements", func() error {
		if sent() < before+4 {
			return &missing{"an advertisement", ""}
		}
		return nil
	})
	if got := bystander.stop(); len(got) > 0 {
		t.Errorf("the bridge does not snoop: the client got %d advertisements", len(got))
	}
	if is, err := a.active(); err != nil || !is {
		t.Errorf("vipd is not Active: %v", err)
	}
	first(t, s.wire.stop(), high, from)
}

// missing is what is not there, and what is.
type missing struct{ what, in string }

func (m *missing) Error() string { return m.what + " is missing: " + m.in }
