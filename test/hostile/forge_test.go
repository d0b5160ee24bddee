package hostile

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/vrrp"
)

var strangerAddr = netip.MustParseAddr("198.51.100.66")

// The priorities that harm most: those that beat everybody, and the one that says
// that the Active leaves.
var harmful = []uint8{255, 254, 0}

// With authentication, forged advertisements are refused, counted and told, and
// nothing else happens.
func TestForged(t *testing.T) {
	c := start(t, 2, binaries, secured(t, "monotonic"))
	s := stranger(t, c)
	moved := unmoved(t, c)
	p := watch(t, c)
	wrong := vrrp.NewSigner(vrrp.Key{ID: 1, Secret: []byte(strings.Repeat("x", 32))}, vrrp.ReplayMonotonic, time.Second)
	unknown := vrrp.NewSigner(vrrp.Key{ID: 9, Secret: secret}, vrrp.ReplayMonotonic, time.Second)
	stranger6 := linkLocal(t, s.node)
	sources := []netip.Addr{strangerAddr, c.Servers[0].Addr, c.Servers[1].Addr,
		stranger6, linkLocal(t, c.Servers[0].Node), linkLocal(t, c.Servers[1].Node)}
	every(t, 10*time.Millisecond, 2*time.Second, func() {
		for _, priority := range harmful {
			for _, src := range sources {
				s.send(s.advert(src, priority, nil), s.advert(src, priority, wrong), s.advert(src, priority, unknown))
			}
		}
	})
	untouched(t, p)
	moved()
	must(t, is(c.Servers[0], "Active"))
	for _, server := range c.Servers {
		for family, from := range map[string]netip.Addr{"IPv4": strangerAddr, "IPv6": stranger6} {
			counted(t, server, family, 100, vrrp.AuthMissing, vrrp.AuthBadHMAC, vrrp.AuthUnknownKey)
			for _, words := range []string{
				" does not sign its advertisements", " signs with a key of the right id and the wrong bytes, or is a forger",
				" signs with a key that is not in auth.keys",
			} {
				must(t, says(server, family, from.String()+words))
			}
		}
	}
}

// counted checks that a server has refused packets for each of the reasons.
func counted(t *testing.T, s *cluster.Server, family string, least uint64, reasons ...vrrp.Reason) {
	t.Helper()
	n := counters(t, s, family)
	for _, r := range reasons {
		if n[r.String()] < least {
			t.Errorf("%s counted %d of %v in %s", s.Name, n[r.String()], r, family)
		}
	}
}

// Among unicast peers it is likewise, in the name of a peer, and who is none is not even
// asked for a signature.
func TestForgedAmongPeers(t *testing.T) {
	c := start(t, 2, binaries, amongPeers(secured(t, "monotonic")))
	s := stranger(t, c)
	moved := unmoved(t, c)
	p := watch(t, c)
	wrong := vrrp.NewSigner(vrrp.Key{ID: 1, Secret: []byte(strings.Repeat("x", 32))}, vrrp.ReplayMonotonic, time.Second)
	var frames [][]byte
	for i, server := range c.Servers {
		peer := c.Servers[1-i]
		for _, src := range []netip.Addr{strangerAddr, peer.Addr, netip.MustParseAddr("2001:db8::66"), peer.Addr6} {
			to := alone(t, server, src)
			for _, priority := range harmful {
				frames = append(frames, s.advertTo(to, src, priority, nil), s.advertTo(to, src, priority, wrong))
			}
		}
	}
	every(t, 10*time.Millisecond, 2*time.Second, func() { s.send(frames...) })
	untouched(t, p)
	moved()
	must(t, is(c.Servers[0], "Active"))
	for _, server := range c.Servers {
		for _, family := range []string{"IPv4", "IPv6"} {
			counted(t, server, family, 100, vrrp.BadDestination, vrrp.AuthMissing, vrrp.AuthBadHMAC)
		}
	}
}

// amongPeers has the servers of a configuration know each other by their addresses.
func amongPeers(config func(*cluster.Server) string) func(*cluster.Server) string {
	return func(s *cluster.Server) string {
		const peers = `peers = ["198.51.100.11", "198.51.100.12", "2001:db8::11", "2001:db8::12"]`
		return strings.Replace(config(s), "[[vip]]\n", "[[vip]]\n"+peers+"\n", 1)
	}
}

// Without authentication a forger has his way, as long as he goes on, and after that
// for the Active_Down_Interval. It is he who says how long that is: Backups go by the
// interval of the Active.
func TestForgedWithoutAuth(t *testing.T) {
	t.Parallel()
	c := start(t, 2, binaries, plain)
	s := stranger(t, c)
	const usual, slow = 250 * time.Millisecond, 700 * time.Millisecond
	tests := []struct {
		name     string
		src      netip.Addr
		priority uint8
		interval time.Duration
		times    int // each 100 ms
	}{
		{"priority 255", strangerAddr, 255, usual, 10},
		{"priority 254 and a long interval, once", strangerAddr, 254, slow, 1},
		{"priority 0 in the name of the Active", c.Servers[0].Addr, 0, usual, 10},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			before := transitions(t, c.Servers[0]) + transitions(t, c.Servers[1])
			p := watch(t, c)
			every(t, 100*time.Millisecond, time.Duration(tt.times)*100*time.Millisecond+50*time.Millisecond, func() {
				s.send(s.frame(everybody4, tt.src, payload(everybody4, tt.src, tt.priority, tt.interval)))
			})
			ended := time.Now()
			until(t, "it to have its effect", func() error {
				if transitions(t, c.Servers[0])+transitions(t, c.Servers[1]) == before {
					return errNotYet
				}
				return nil
			})
			until(t, "all to be as it was", func() error {
				return errors.Join(is(c.Servers[0], "Active"), is(c.Servers[1], "Backup"))
			})
			stays(t, 500*time.Millisecond, func() error { return is(c.Servers[0], "Active") })
			recovered(t, p, ended, 3*tt.interval+250*time.Millisecond)
		})
	}
}

// Whatever bit of a recorded advertisement is turned, it is refused. That it was not
// refused for another reason is shown at the end: as it was, it is accepted.
func TestBitFlips(t *testing.T) {
	t.Parallel()
	c := start(t, 2, binaries, secured(t, "monotonic"))
	s := stranger(t, c)
	first, second := c.Servers[0], c.Servers[1]
	frame := withheld(t, c, s)
	p := watch(t, c)
	moved := transitions(t, second)
	before := counters(t, second, "IPv4")
	for bit := 14 * 8; bit < len(frame)*8; bit++ {
		flipped := append([]byte(nil), frame...)
		flipped[bit/8] ^= 0x80 >> (bit % 8)
		s.send(flipped)
		if covered(bit / 8) {
			sumHeader(flipped[14:34]) // what a forger would do
			s.send(flipped)
		}
	}
	// The one after them has been inspected last.
	s.send(s.advert(strangerAddr, 255, nil))
	until(t, "all to be inspected", func() error {
		if counters(t, second, "IPv4")["auth-missing"] == before["auth-missing"] {
			return errNotYet
		}
		return nil
	})
	after := counters(t, second, "IPv4")
	if after["advertisement-rcvd"] != before["advertisement-rcvd"] {
		t.Errorf("%d were accepted", after["advertisement-rcvd"]-before["advertisement-rcvd"])
	}
	for _, r := range []string{"auth-bad-hmac", "auth-unknown-key", "auth-malformed", "checksum-errors", "ip-ttl-errors"} {
		t.Logf("%s: %d", r, after[r]-before[r])
		if after[r] == before[r] {
			t.Errorf("none was refused for %s", r)
		}
	}
	if n := transitions(t, second) - moved; n != 0 {
		t.Errorf("%s changed its state %d times", second.Name, n)
	}
	untouched(t, p)

	s.send(frame)
	until(t, "the advertisement to be accepted as it was", func() error {
		if counters(t, second, "IPv4")["advertisement-rcvd"] != before["advertisement-rcvd"]+1 {
			return errNotYet
		}
		return nil
	})
	if first.AgentRuns() {
		t.Error("its sender lives")
	}
}

// covered reports whether a byte of a frame is in a part of the IP header that says
// something about the advertisement. With another type of service, identification or
// flags it is the same one, and with its checksum made right.
func covered(at int) bool {
	at -= 14
	return at >= 0 && at < 20 && at != 1 && (at < 4 || at > 7) && at != 10 && at != 11
}

// withheld returns an advertisement that the second server has not seen, of the first,
// which is gone.
func withheld(t *testing.T, c *cluster.Cluster, s *station) []byte {
	t.Helper()
	first, second := c.Servers[0], c.Servers[1]
	must(t, c.Lab.Cut(second.Node))
	until(t, "the other to be Active as well", func() error { return is(second, "Active") })
	frames := s.record(600*time.Millisecond, advertOf(first.Addr))
	if len(frames) == 0 {
		t.Fatal("recorded nothing")
	}
	must(t, first.Die())
	must(t, c.Lab.Join(second.Node))
	return frames[len(frames)-1]
}
