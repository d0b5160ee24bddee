package agent

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/config"
)

// What the sockets or the addresses depend on needs a new router; the rest an
// existing one takes while it goes on, and so does the other family.
func TestSplit(t *testing.T) {
	vip6 := netip.MustParseAddr("2001:db8::100")
	type names struct{ Gone, Made, Adjust []string }
	goesOn, anew := names{Adjust: []string{"k3s/IPv4"}}, names{Gone: []string{"k3s/IPv4"}, Made: []string{"k3s/IPv4"}}
	tests := map[string]struct {
		change func(*config.VIP)
		want   names
	}{
		"priority":        {func(v *config.VIP) { v.Priority = 100 }, goesOn},
		"advert_interval": {func(v *config.VIP) { v.AdvertInterval = time.Second }, goesOn},
		"preempt":         {func(v *config.VIP) { v.Preempt = false }, goesOn},
		"when_down":       {func(v *config.VIP) { v.WhenDown = config.Release }, goesOn},
		"peers":           {func(v *config.VIP) { v.Peers = []netip.Addr{peer} }, goesOn},
		"checksum":        {func(v *config.VIP) { v.Checksum = config.RFC9568 }, goesOn},
		"vrid":            {func(v *config.VIP) { v.VRID = 52 }, anew},
		"interface":       {func(v *config.VIP) { v.Interface = "eth1" }, anew},
		"virtual_mac":     {func(v *config.VIP) { v.VirtualMAC = true }, anew},
		"another address": {func(v *config.VIP) { v.Addresses = []netip.Addr{other} }, anew},
		"more addresses":  {func(v *config.VIP) { v.Addresses = []netip.Addr{vip4, other} }, anew},
		"another family": {func(v *config.VIP) { v.Addresses = []netip.Addr{vip6} },
			names{Gone: []string{"k3s/IPv4"}, Made: []string{"k3s/IPv6"}}},
		"one more family": {func(v *config.VIP) { v.Addresses = []netip.Addr{vip6, vip4} },
			names{Made: []string{"k3s/IPv6"}, Adjust: []string{"k3s/IPv4"}}},
		"one more family, and vrid": {func(v *config.VIP) { v.Addresses, v.VRID = []netip.Addr{vip4, vip6}, 52 },
			names{Gone: []string{"k3s/IPv4"}, Made: []string{"k3s/IPv4", "k3s/IPv6"}}},
	}
	named := func(list []share) []string {
		var out []string
		for _, s := range list {
			out = append(out, s.id().String())
		}
		return out
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			old, changed := vipConfig(), vipConfig()
			tt.change(&changed)
			gone, made, adjust := split(config.Diff(&config.Config{VIPs: []config.VIP{old}}, &config.Config{VIPs: []config.VIP{changed}}))
			got := names{named(gone), named(made), named(adjust)}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("added and removed", func(t *testing.T) {
		v := vipConfig()
		gone, made, adjust := split(config.Difference{Removed: []config.VIP{v}, Added: []config.VIP{v}})
		if diff := cmp.Diff(names{[]string{"k3s/IPv4"}, []string{"k3s/IPv4"}, nil}, names{named(gone), named(made), named(adjust)}); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

func TestReleaseAddresses(t *testing.T) {
	got := unique(append([]netip.Addr{vip4, other}, parseAddrs([]string{"198.51.100.100", "not one", "", "2001:db8::100"})...))
	if diff := cmp.Diff([]netip.Addr{vip4, other, netip.MustParseAddr("2001:db8::100")}, got, equateAddrs); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
