package vip

import (
	"encoding/hex"
	"errors"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/packet"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

func TestC41OnTheWire(t *testing.T) {
	_, a, b := twoNodes(t, "sysctl")
	mac := hex.EncodeToString(eth0(t, a).HardwareAddr)
	for _, tt := range []struct {
		name    string
		vip     netip.Addr
		forward string
		want    []string
	}{
		{"C41 gratuitous ARP, both forms", vip4, "0", []string{garpRequest, garpReply}},
		{"C46 advertisement of a host", vip6, "0", []string{na}},
		{"C46 advertisement of a router", vip6, "1", []string{naRouter}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			run(t, a, "sysctl", "-qw", "net.ipv6.conf.all.forwarding="+tt.forward)
			h := start(t, a, Config{Addrs: []netip.Addr{tt.vip}})
			frames := capture(t, b)
			h.Announce() // C45: not held yet
			h.done(OpAnnounce)
			h.Claim()
			h.Announce()
			h.done(OpAnnounce)
			got := frames()
			if len(got) != len(tt.want) {
				t.Fatalf("got %d frames, want %d: %x", len(got), len(tt.want), got)
			}
			for i, want := range tt.want {
				checkFrame(t, got[i], strings.ReplaceAll(want, "02000000000a", mac))
			}
		})
	}
}

// stalls is a socket whose process the host does not run between deadline and write, so often.
type stalls struct {
	*packet.Conn
	left int
}

func (s *stalls) WriteTo(b []byte, to net.Addr) (int, error) {
	if s.left > 0 {
		s.left--
		if err := s.SetWriteDeadline(time.Unix(1, 0)); err != nil {
			return 0, err
		}
	}
	return s.Conn.WriteTo(b, to)
}

func TestSendAfterAStall(t *testing.T) {
	_, a, b := twoNodes(t)
	ifi := eth0(t, a)
	var conn *packet.Conn
	in(t, a, func() (err error) { conn, err = openSender(ifi); return err })
	defer conn.Close()
	for _, tt := range []struct {
		name   string
		stalls int
		sent   bool
	}{{"no stall", 0, true}, {"one stall", 1, true}, {"a queue that stays full", 2, false}} {
		t.Run(tt.name, func(t *testing.T) {
			frames := capture(t, b)
			err := send(&stalls{conn, tt.stalls}, arpAnnouncement(arp.OperationRequest, ifi.HardwareAddr, vip4))
			if got := len(frames()); tt.sent != (err == nil) || tt.sent != (got == 1) {
				t.Errorf("%d frames, error %v", got, err)
			}
			if err != nil && !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Error(err)
			}
		})
	}
}

func TestC44NeighbourMovesItsEntry(t *testing.T) {
	l, a, b := twoNodes(t, "ip", "ping")
	c := add(t, l, "c", netip.MustParsePrefix("198.51.100.3/24"), netip.MustParsePrefix("2001:db8::3/64"))
	reach(t, c, netA4.Addr())
	for _, tt := range []struct {
		name string
		vip  netip.Addr
	}{{"IPv4", vip4}, {"IPv6", vip6}} {
		t.Run(tt.name, func(t *testing.T) {
			old, new := start(t, a, Config{Addrs: []netip.Addr{tt.vip}}), start(t, b, Config{Addrs: []netip.Addr{tt.vip}})
			at := func(n *lab.Node) func() bool {
				return func() bool {
					return strings.Contains(run(t, c, "ip", "neigh", "show", tt.vip.String()), eth0(t, n).HardwareAddr.String())
				}
			}
			old.Claim()
			old.done(OpClaim)
			run(t, c, "ping", "-c1", "-W1", tt.vip.String())
			within(t, time.Second, "entry of the old holder", at(a))

			old.Release()
			old.done(OpRelease)
			new.Claim()
			new.Announce()
			new.done(OpAnnounce)
			if !at(b)() { // a change within a second of the last is ignored: the announcement is repeated
				begin := time.Now()
				for !at(b)() && time.Since(begin) < 1200*time.Millisecond {
					time.Sleep(100 * time.Millisecond)
					new.Announce()
					new.done(OpAnnounce)
				}
			}
			if !at(b)() {
				t.Errorf("still: %s", run(t, c, "ip", "neigh", "show", tt.vip.String()))
			}
		})
	}
}

// An interface with another name forwards as before.
func TestAnnouncerRenamed(t *testing.T) {
	_, a, _ := twoNodes(t, "sysctl", "ip")
	run(t, a, "sysctl", "-qw", "net.ipv6.conf.all.forwarding=1")
	in(t, a, func() error {
		out, err := NewAnnouncer(eth0(t, a), vrrp.IPv6)
		if err != nil {
			return err
		}
		defer out.Close()
		run(t, a, "ip", "link", "set", "eth0", "name", "lan0")
		if err := out.Renamed("lan0"); err != nil {
			return err
		}
		if !out.forwards() {
			t.Error("not a router any more")
		}
		return nil
	})
}
