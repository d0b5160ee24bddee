package interop

import (
	"testing"

	"github.com/vipd/vipd/vrrp"
)

// keepalived at priority 100, the least that the documentation allows, ranks
// between a ready vipd and a degraded one.
func TestC69GradesBesideKeepalived(t *testing.T) {
	t.Parallel()
	s := newSegment(t, vrrp.IPv4, 1, "keepalived")
	a, k := s.agents[0], newKeepalived(s, keepalivedConfig{Priority: 100})
	s.must(a.server.StartAPI("ready"))
	a.configureVIP(a.server.CheckConfig(), high)
	k.start()
	s.settle(k)
	a.start()
	s.settle(a, k)
	ctx := t.Context()
	s.must(a.server.SetAPI(ctx, "etcd-lost-fast"))
	s.until("the grade to fall", func() error { return a.ranks("degraded") })
	s.settle(k, a)
	s.must(a.server.SetAPI(ctx, "ready"))
	s.settle(a, k)
	s.must(a.server.SetAPI(ctx, "refused"))
	s.settle(k, a)
	if err := a.ranks("down"); err != nil {
		t.Error(err)
	}
}
