package agent

import (
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vip"
	"github.com/vipd/vipd/vrrp"
)

// A router puts its addresses back when one of them was taken off, and behind the
// node's own when that came back. What happens to others, or elsewhere, such as
// pods bring and take, is no business of its own.
func TestAgentLinkChanged(t *testing.T) {
	lo, err := net.InterfaceByName("lo") // there is one everywhere
	if err != nil {
		t.Fatal(err)
	}
	v6 := netip.MustParseAddr("2001:db8::100")
	const elsewhere = 1 << 20
	tests := map[string]struct {
		c    vip.Change
		want bool
	}{
		"VIP removed":             {vip.Change{Kind: vip.AddrRemoved, Index: lo.Index, Addr: vip4}, true},
		"VIP added":               {vip.Change{Kind: vip.AddrAdded, Index: lo.Index, Addr: vip4}, false},
		"VIP of another removed":  {vip.Change{Kind: vip.AddrRemoved, Index: lo.Index, Addr: other}, false},
		"VIP of another added":    {vip.Change{Kind: vip.AddrAdded, Index: lo.Index, Addr: other}, false},
		"VIP of the other family": {vip.Change{Kind: vip.AddrRemoved, Index: lo.Index, Addr: v6}, false},
		"own address back":        {vip.Change{Kind: vip.AddrAdded, Index: lo.Index, Addr: own}, true},
		"own address gone":        {vip.Change{Kind: vip.AddrRemoved, Index: lo.Index, Addr: own}, false},
		"own of the other family": {vip.Change{Kind: vip.AddrAdded, Index: lo.Index, Addr: netip.MustParseAddr("2001:db8::1")}, false},
		"address elsewhere":       {vip.Change{Kind: vip.AddrAdded, Index: elsewhere, Addr: own}, false},
		"link up":                 {vip.Change{Kind: vip.LinkUp, Index: lo.Index, Name: "lo"}, false},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				cfg := vipConfig()
				cfg.Addresses = append(cfg.Addresses, v6)
				g := newRig(t, cfg, nil)
				g.iface = lo.Name
				g.active()
				second := vipConfig()
				second.Name, second.Addresses = "second", []netip.Addr{other}
				a := &Agent{routers: map[id]*placed{
					g.id: {router: g.router}, {"second", vrrp.IPv4}: {router: newRig(t, second, nil).router},
				}}
				g.pass(2 * time.Second)
				g.net.took()
				a.linkChanged(tt.c)
				synctest.Wait()
				if got := strings.Contains(strings.Join(g.net.took(), " "), "claim"); got != tt.want {
					t.Errorf("claimed: %v, want %v", got, tt.want)
				}
			})
		})
	}
}

// The end of K3s tells the peers one thing only, however it is told here: that this
// node is down. For a moment it must not look as fit as it was.
func TestReportUnitStops(t *testing.T) {
	ready := health.Verdict{Grade: vrrp.Ready, Settled: true}
	down := health.Verdict{Grade: vrrp.Down, Settled: true, Cause: "k3s.service is stopping"}
	runs := health.Unit{ActiveState: "active", MainPID: 7}
	stops := health.Unit{ActiveState: "deactivating", MainPID: 7}
	dead := health.Unit{ActiveState: "deactivating", MainPID: 7, Dead: true}
	gone := health.Unit{ActiveState: "inactive", Dead: true}
	tests := map[string][]health.Unit{"step by step": {stops, dead, gone}, "the end and the state at once": {stops, gone}, "all at once": {gone}}
	for name, units := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g := newRig(t, vipConfig(), nil)
				a := &Agent{clock: g.clock, record: g.record}
				a.live.Store(&[]*router{g.router})
				a.report(health.Update{Verdict: ready, Unit: runs})
				g.active()
				for _, u := range units {
					a.report(health.Update{Verdict: down, Unit: u})
					synctest.Wait()
				}
				if diff := cmp.Diff([]string{"0s send 1 to 224.0.0.18"}, g.net.took()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
			})
		})
	}
}

// However often a conflict shows up, one look for it at a time is enough.
func TestMemberChecksOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := &member{}
		looks := 0
		for range 3 {
			for range 10 {
				m.check(func() { looks++; time.Sleep(time.Minute) })
			}
			time.Sleep(2 * time.Minute)
		}
		m.checks.Wait()
		if looks != 3 {
			t.Errorf("%d looks, want one after another: 3", looks)
		}
	})
}
