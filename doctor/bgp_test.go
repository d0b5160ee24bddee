package doctor

import (
	"net"
	"testing"

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
