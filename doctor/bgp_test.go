package doctor

import (
	"net"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/agent/control"
)

// routed makes the VIP one of mode bgp, which is announced.
func routed(f *fakes) {
	f.files[configPath] = `
[[vip]]
mode = "bgp"
addresses = ["203.0.113.100"]
[bgp]
local_as = 64512
[[bgp.peer]]
address = "198.51.100.2"
as = 64600
`
	f.cert.IPAddresses = append(f.cert.IPAddresses, net.IPv4(203, 0, 113, 100))
	f.agent.Sessions = []control.Session{{Peer: "198.51.100.2", AS: 64600, State: "Established", Routes: 1}}
	f.agent.Routers = []control.Router{{VIP: "k3s", Family: "IPv4", Mode: "bgp", State: "Active", Addresses: []string{"203.0.113.100"}}}
	f.frames = nil
}

func TestRoutedIsSound(t *testing.T) {
	f := healthy()
	routed(f)
	for _, x := range f.examine(t, Options{Listen: listen, Root: true}).Findings {
		if x.Severity != OK {
			t.Errorf("%+v", x)
		}
	}
}

// routedBoth has a VIP of both families, and two routers that are to hear of both.
func routedBoth(f *fakes) {
	routed(f)
	f.files[configPath] = `
[[vip]]
mode = "bgp"
addresses = ["203.0.113.100", "2001:db8:a::100"]
[bgp]
local_as = 64512
[[bgp.peer]]
address = "198.51.100.2"
as = 64600
families = ["ipv4", "ipv6"]
[[bgp.peer]]
address = "198.51.100.3"
as = 64600
families = ["ipv4", "ipv6"]
`
	f.cert.IPAddresses = append(f.cert.IPAddresses, net.ParseIP("2001:db8:a::100"))
	f.agent.Routers = append(f.agent.Routers, control.Router{VIP: "k3s", Family: "IPv6", Mode: "bgp", State: "Active", Addresses: []string{"2001:db8:a::100"}})
	both := []string{"IPv4", "IPv6"}
	f.agent.Sessions = []control.Session{
		{Peer: "198.51.100.2", AS: 64600, State: "Established", Routes: 2, Families: both},
		{Peer: "198.51.100.3", AS: 64600, State: "Established", Routes: 2, Families: both},
	}
}

// A family that one router does not take is found, whatever else it or the others carry.
func TestFamilies(t *testing.T) {
	six := "the session is up and carries no IPv6 routes: the router does not hear of 2001:db8:a::100"
	for name, tt := range map[string]struct {
		change func(*fakes)
		want   []string
	}{
		"sound":                   {func(*fakes) {}, nil},
		"an older agent":          {func(f *fakes) { f.agent.Sessions[0].Families = nil }, nil},
		"one router without IPv6": {func(f *fakes) { f.agent.Sessions[0].Families, f.agent.Sessions[0].Routes = []string{"IPv4"}, 1 }, []string{six}},
		"and the other is down": {func(f *fakes) {
			f.agent.Sessions[0].Families, f.agent.Sessions[0].Routes = []string{"IPv4"}, 1
			f.agent.Sessions[1] = control.Session{Peer: "198.51.100.3", AS: 64600, State: "Idle"}
		}, []string{six}},
		"neither takes it": {func(f *fakes) {
			for i := range f.agent.Sessions {
				f.agent.Sessions[i].Families, f.agent.Sessions[i].Routes = []string{"IPv4"}, 1
			}
		}, []string{six, six}},
		"no next hop": {func(f *fakes) {
			f.agent.Sessions[0].Routes, f.agent.Sessions[0].Problem = 1, "eth0 has no global IPv6 address"
		},
			[]string{"the session is up and carries 1 routes of 2 (203.0.113.100, 2001:db8:a::100): eth0 has no global IPv6 address"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := healthy()
			routedBoth(f)
			tt.change(f)
			var got []string
			for _, x := range f.examine(t, Options{Listen: listen, Root: true}).Findings {
				if x.ID == "bgp-family-missing" {
					got = append(got, x.Evidence)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
