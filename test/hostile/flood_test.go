package hostile

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ndp"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/vrrp"
)

const (
	floodRate = 100_000 // frames a second
	floodTime = 3 * time.Second
	// floodLeast is how many it is at least. A busy machine takes longer for them.
	floodLeast = 100_000
)

// A flood of frames that get past the kernel's filter, or nearly so, moves nothing and
// leaves the agent time to spare.
//
// The bounds, in parts of one core, while the flood lasts. An agent reads at most
// 100,000 packets of VRRP a second, in one goroutine, so one core is all that a flood
// can take; what is refused before the HMAC is cheaper. Frames of ARP and NDP about
// other addresses than the VIP do not reach it; of those about it, it reads 640 a second.
func TestFlood(t *testing.T) {
	c := start(t, 2, binaries, secured(t, "monotonic"))
	s := stranger(t, c)
	wrong := vrrp.NewSigner(vrrp.Key{ID: 1, Secret: make([]byte, 32)}, vrrp.ReplayMonotonic, time.Second)
	var forged, forged6, unsigned [][]byte
	for i := range 256 {
		src := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		forged = append(forged, s.advert(src, 255, wrong))
		unsigned = append(unsigned, s.advert(src, 255, nil))
		forged6 = append(forged6, s.advert(netip.AddrFrom16([16]byte{0: 0xfe, 1: 0x80, 14: 0xff, 15: byte(i)}), 255, wrong))
	}
	tests := []struct {
		name    string
		frames  [][]byte
		family  string // of the counter
		counter string
		bound   float64
		stolen  bool // clients believe it
	}{
		{"wrong HMAC", forged, "IPv4", "auth-bad-hmac", 0.9, false},
		{"wrong HMAC, IPv6", forged6, "IPv6", "auth-bad-hmac", 0.9, false},
		{"unsigned", unsigned, "IPv4", "auth-missing", 0.9, false},
		{"ARP requests for the VIP", s.arpRequests(), "", "", 0.15, false},
		{"ARP of others", s.arpOthers(), "", "", 0.15, false},
		{"neighbour advertisements", s.naOthers(), "", "", 0.15, false},
		{"ARP claims of the VIP", [][]byte{s.arp(arp.OperationRequest, cluster.VIP4, cluster.VIP4)}, "", "", 0.15, true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			moved := unmoved(t, c)
			p := watch(t, c)
			before := make(map[string]time.Duration)
			for _, server := range c.Servers {
				before[server.Name] = cpu(t, server)
			}
			began := time.Now()
			sent := s.flood(tt.frames, floodRate, floodTime, floodLeast)
			lasted := time.Since(began)
			for _, server := range c.Servers {
				share := float64(cpu(t, server)-before[server.Name]) / float64(lasted)
				t.Logf("%s: %.0f frames a second, %.0f %% of a core", server.Name, float64(sent)/lasted.Seconds(), 100*share)
				if share > tt.bound {
					t.Errorf("%s took %.0f %% of a core, want at most %.0f", server.Name, 100*share, 100*tt.bound)
				}
				if tt.counter == "" {
					continue
				}
				if n := counters(t, server, tt.family)[tt.counter]; n < floodLeast/4 {
					t.Errorf("%s counted %d of %d", server.Name, n, sent)
				}
			}
			if tt.stolen {
				stays(t, burstGap+time.Second, func() error { return is(c.Servers[0], "Active") })
				recovered(t, p, began.Add(lasted), burstGap+500*time.Millisecond) // what is queued is heard too
			} else {
				untouched(t, p)
			}
			moved()
		})
	}
}

// arpRequests ask for the VIP in the name of hosts of the segment: few enough not to
// fill the neighbour table, which all namespaces of a machine share.
func (s *station) arpRequests() [][]byte {
	var out [][]byte
	for i := range 50 {
		out = append(out, s.arp(arp.OperationRequest, netip.AddrFrom4([4]byte{198, 51, 100, byte(120 + i)}), cluster.VIP4))
	}
	return out
}

// arpOthers are gratuitous, for addresses that nobody knows.
func (s *station) arpOthers() [][]byte {
	var out [][]byte
	for i := range 256 {
		a := netip.AddrFrom4([4]byte{203, 0, 113, byte(i)})
		out = append(out, s.arp(arp.OperationRequest, a, a))
	}
	return out
}

func (s *station) naOthers() [][]byte {
	var out [][]byte
	for i := range 256 {
		a := cluster.VIP6.As16()
		a[14], a[15] = 0xff, byte(i)
		out = append(out, s.na(netip.AddrFrom16(a), true))
	}
	return out
}

// arp is an ARP frame for everybody that says that sender is at this station.
func (s *station) arp(op arp.Operation, sender, target netip.Addr) []byte {
	s.t.Helper()
	p, err := arp.NewPacket(op, s.ifi.HardwareAddr, sender, s.ifi.HardwareAddr, target)
	must(s.t, err)
	b, err := p.MarshalBinary()
	must(s.t, err)
	broadcast := net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}
	return append(append(append(broadcast, s.ifi.HardwareAddr...), 0x08, 0x06), b...)
}

// na is an unsolicited neighbour advertisement for all nodes that says the same.
func (s *station) na(addr netip.Addr, override bool) []byte {
	s.t.Helper()
	group := netip.MustParseAddr("ff02::1")
	m := &ndp.NeighborAdvertisement{Override: override, TargetAddress: addr,
		Options: []ndp.Option{&ndp.LinkLayerAddress{Direction: ndp.Target, Addr: s.ifi.HardwareAddr}}}
	b, err := ndp.MarshalMessageChecksum(m, addr, group)
	must(s.t, err)
	f := append(append(net.HardwareAddr{0x33, 0x33, 0, 0, 0, 1}, s.ifi.HardwareAddr...), 0x86, 0xdd)
	return append(append(f, headerIPv6(unix.IPPROTO_ICMPV6, addr, group, len(b))...), b...)
}

// cpu returns the CPU time that a server's agent has used.
func cpu(t *testing.T, s *cluster.Server) time.Duration {
	t.Helper()
	used, err := s.AgentCPU()
	must(t, err)
	return used
}
