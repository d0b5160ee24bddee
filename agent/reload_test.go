package agent

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// What the sockets or the addresses depend on needs a new router; the rest an
// existing one takes while it goes on.
func TestSplit(t *testing.T) {
	tests := map[string]struct {
		change func(*config.VIP)
		remake bool
	}{
		"priority":        {func(v *config.VIP) { v.Priority = 100 }, false},
		"advert_interval": {func(v *config.VIP) { v.AdvertInterval = time.Second }, false},
		"preempt":         {func(v *config.VIP) { v.Preempt = false }, false},
		"when_down":       {func(v *config.VIP) { v.WhenDown = config.Release }, false},
		"peers":           {func(v *config.VIP) { v.Peers = []netip.Addr{peer} }, false},
		"checksum":        {func(v *config.VIP) { v.Checksum = config.RFC9568 }, false},
		"vrid":            {func(v *config.VIP) { v.VRID = 52 }, true},
		"interface":       {func(v *config.VIP) { v.Interface = "eth1" }, true},
		"virtual_mac":     {func(v *config.VIP) { v.VirtualMAC = true }, true},
		"another address": {func(v *config.VIP) { v.Addresses = []netip.Addr{other} }, true},
		"more addresses":  {func(v *config.VIP) { v.Addresses = []netip.Addr{vip4, other} }, true},
		"another family":  {func(v *config.VIP) { v.Addresses = []netip.Addr{netip.MustParseAddr("2001:db8::100")} }, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			old, changed := vipConfig(), vipConfig()
			tt.change(&changed)
			remake, adjust := split(config.Diff(&config.Config{VIPs: []config.VIP{old}}, &config.Config{VIPs: []config.VIP{changed}}))
			var wantRemake []config.Change
			wantAdjust := []config.VIP{changed}
			if tt.remake {
				wantRemake, wantAdjust = []config.Change{{Old: old, New: changed}}, nil
			}
			if diff := cmp.Diff(wantRemake, remake, equateAddrs, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("remake (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(wantAdjust, adjust, equateAddrs, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("adjust (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReleaseFinds(t *testing.T) {
	dual := vipConfig()
	dual.Addresses = append(dual.Addresses, netip.MustParseAddr("2001:db8::100"))
	cfg := &config.Config{VIPs: []config.VIP{dual}}
	for name, family := range map[string]vrrp.Family{"k3s/IPv4": vrrp.IPv4, "k3s/IPv6": vrrp.IPv6, "k3s": 0, "k3s/": 0, "other/IPv4": 0, "": 0} {
		v, f, ok := find(cfg, name)
		if ok != (family != 0) || f != family || ok && v.Name != "k3s" {
			t.Errorf("find(%q) = %s, %v, %v", name, v.Name, f, ok)
		}
	}
}

func TestReleaseAddresses(t *testing.T) {
	got := unique(append([]netip.Addr{vip4, other}, parseAddrs([]string{"198.51.100.100", "not one", "", "2001:db8::100"})...))
	if diff := cmp.Diff([]netip.Addr{vip4, other, netip.MustParseAddr("2001:db8::100")}, got, equateAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
