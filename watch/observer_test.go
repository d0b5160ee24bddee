package watch

import (
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

var (
	theVIP = netip.MustParseAddr("198.51.100.100")
	begin  = time.Unix(1_000_000, 0)
)

// scene plays a few seconds on a segment.
type scene struct {
	o     *observer
	now   time.Time
	found []string
}

func newScene() *scene {
	return &scene{o: newObserver([]election{{"eth0", vrrp.IPv4, 51}}, nil, begin), now: begin}
}

// advert has station n advertise the VIP with VRID 51.
func (s *scene) advert(n byte, priority uint8) {
	d := &datagram{Header: vrrp.Header{Src: netip.AddrFrom4([4]byte{198, 51, 100, n}), Dst: vrrp.IPv4.Group()}, mac: stationMAC(n)}
	m := message{version: 3, vrid: 51, priority: priority, interval: time.Second, addrs: []netip.Addr{theVIP}}
	s.note(s.o.advert("eth0", d, m, vrrp.Accepted, s.now))
}

// claim has station n say that it has the VIP.
func (s *scene) claim(n byte) {
	_, found := s.o.claim("eth0", &claim{addr: theVIP, mac: stationMAC(n), form: ARPRequest, gratuitous: true}, s.now)
	s.note(found)
}

func (s *scene) note(found []Conflicting) {
	for _, f := range found {
		s.found = append(s.found, f.About+" "+strings.Join(f.Stations, " "))
	}
}

func (s *scene) pass(d time.Duration) { s.now = s.now.Add(d) }

func stationMAC(n byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, n} }

func TestConflicts(t *testing.T) {
	const (
		rivals = "VRID 51 198.51.100.11 198.51.100.12"
		stolen = "198.51.100.100 02:00:00:00:00:66 02:00:00:00:00:0b"
	)
	for name, tt := range map[string]struct {
		play func(s *scene)
		want []string
	}{
		"one": {func(s *scene) {
			for range 9 {
				s.advert(11, 250)
				s.claim(11)
				s.pass(time.Second)
			}
		}, nil},
		"a planned move": {func(s *scene) {
			s.advert(11, 250)
			s.claim(11)
			s.advert(11, vrrp.PriorityLeave)
			s.advert(12, 240)
			s.claim(12)
			s.claim(11) // it lingers
			s.claim(12)
		}, nil},
		"a preemption, with the loser's last word": {func(s *scene) {
			s.advert(11, 100)
			s.advert(12, 240)
			s.claim(12)
			s.advert(11, 100)
			s.advert(12, 240)
			s.claim(12)
			s.pass(time.Second)
			s.advert(12, 240)
		}, nil},
		"a preemption beside unicast peers": {func(s *scene) {
			s.advert(11, 100)
			s.pass(time.Second)
			for range 5 { // a copy for each
				s.advert(12, 240)
				s.advert(11, 100)
			}
		}, nil},
		"two that go on": {func(s *scene) {
			for range 5 {
				s.advert(11, 100)
				s.advert(12, 240)
				s.pass(time.Second)
			}
		}, []string{rivals}},
		"two that go on for long": {func(s *scene) {
			for range 15 {
				s.advert(11, 100)
				s.advert(12, 240)
				s.pass(time.Second)
			}
		}, []string{rivals, rivals}},
		"to and fro": {func(s *scene) {
			for range 5 {
				s.advert(11, 250)
				s.pass(10 * time.Second)
				s.advert(12, 240)
				s.pass(10 * time.Second)
			}
		}, nil},
		"a thief": {func(s *scene) {
			s.advert(11, 250)
			s.claim(11)
			s.claim(0x66)
			s.claim(11)
			s.claim(0x66)
		}, []string{stolen}},
		"a virtual MAC": {func(s *scene) {
			s.advert(11, 250)
			mac := vrrp.VirtualMAC(vrrp.IPv4, 51)
			_, found := s.o.claim("eth0", &claim{addr: theVIP, mac: mac[:], gratuitous: true}, s.now)
			s.note(found)
		}, nil},
		"two without advertisements": {func(s *scene) {
			s.advert(11, 250)
			s.pass(time.Minute)
			s.claim(11)
			s.claim(12) // may be a move
			s.claim(11)
		}, []string{"198.51.100.100 02:00:00:00:00:0b 02:00:00:00:00:0c"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene()
			tt.play(s)
			if !slices.Equal(s.found, tt.want) {
				t.Errorf("%q, want %q", s.found, tt.want)
			}
		})
	}
}

// Announcements are shown of VIPs alone.
func TestOnlyVIPs(t *testing.T) {
	o := newObserver(nil, []netip.Addr{theVIP}, begin)
	for addr, want := range map[netip.Addr]bool{theVIP: true, theVIP.Next(): false} {
		if got, _ := o.claim("eth0", &claim{addr: addr, mac: stationMAC(1)}, begin); got != want {
			t.Errorf("%v: %v", addr, got)
		}
	}
}

func TestSilences(t *testing.T) {
	s := newScene()
	var heard []string
	look := func(d time.Duration) {
		s.pass(d)
		for _, x := range s.o.silences(s.now) {
			heard = append(heard, x.text)
		}
	}
	look(2 * time.Second)
	look(time.Second)
	look(time.Second)
	look(27 * time.Second)
	s.advert(12, 240)
	look(3 * time.Second)
	look(time.Second)
	want := []string{"nothing heard for 3s on eth0 (VRID 51, IPv4): nobody is Active here", "nothing heard for 31s on", "nothing heard for 4s on eth0 (VRID 51, IPv4): 198.51.100.12 (priority 240, ready) was the last"}
	if len(heard) != len(want) {
		t.Fatalf("%q", heard)
	}
	for i, w := range want {
		if !strings.HasPrefix(heard[i], w) {
			t.Errorf("%q, want %q", heard[i], w)
		}
	}
}
