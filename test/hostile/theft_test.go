package hostile

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// burstGap is the least time between two answers to a thief.
const burstGap = time.Second

// theft is what a stranger says of a VIP.
type theft struct {
	family string
	vip    netip.Addr
	frames [][]byte
}

// A stranger announces that the VIP is his. The holder finds out, says who it is,
// and announces again, but not at the thief's pace. Once he stops, clients are back.
func TestTheft(t *testing.T) {
	c := start(t, 2, binaries, plain)
	s := stranger(t, c)
	thefts := []theft{
		{"IPv4", cluster.VIP4, [][]byte{s.arp(arp.OperationRequest, cluster.VIP4, cluster.VIP4), s.arp(arp.OperationReply, cluster.VIP4, cluster.VIP4)}},
		{"IPv6", cluster.VIP6, [][]byte{s.na(cluster.VIP6, true)}},
	}
	quiet(t, c.Servers[0])
	t.Run("once", func(t *testing.T) { steal(t, c, s, thefts, 1) })
	t.Run("each 100 ms", func(t *testing.T) { steal(t, c, s, thefts, 20) })
	t.Run("without override", func(t *testing.T) { // a host that knows better does not believe it
		p, err := c.Probe(t.Context(), cluster.VIP6, 5*time.Millisecond)
		must(t, err)
		await(t, p, "")
		every(t, 10*time.Millisecond, time.Second, func() { s.send(s.na(cluster.VIP6, false)) })
		untouched(t, p)
	})
	for _, th := range thefts {
		if n := conflicts(t, c.Servers[0], th.family, s.ifi.HardwareAddr.String()); n != 1 {
			t.Errorf("the history tells of %d conflicts in %s, want one", n, th.family)
		}
	}
}

// Who takes over rightfully is no thief: neither a planned move nor a partition that
// heals looks like a conflict to anybody.
func TestMovesAreNoThefts(t *testing.T) {
	t.Parallel()
	c := start(t, 2, binaries, plain)
	first, second := c.Servers[0], c.Servers[1]
	returns := func() {
		t.Helper()
		until(t, "the first to be Active", func() error { return is(first, "Active") })
		until(t, "the second to be Backup", func() error { return is(second, "Backup") })
		stays(t, 700*time.Millisecond, func() error { return is(first, "Active") }) // what is suspected is told by now
	}
	_, err := first.Vipd("drain", "--wait")
	must(t, err)
	_, err = first.Vipd("resume")
	must(t, err)
	returns()
	must(t, c.Lab.Cut(first.Node))
	until(t, "the second to be Active", func() error { return is(second, "Active") })
	must(t, c.Lab.Join(first.Node))
	returns()
	for _, s := range c.Servers {
		for _, e := range history(t, s) {
			if e.Kind == control.KindConflict {
				t.Errorf("%s: %s", s.Name, e.Cause)
			}
		}
	}
}

// steal has the stranger announce the VIPs each 100 ms, so many times.
func steal(t *testing.T, c *cluster.Cluster, s *station, thefts []theft, times int) {
	holder := c.Servers[0]
	moved := unmoved(t, c)
	var clients []*probe.Process
	var ears []*ear
	for _, th := range thefts {
		p, err := c.Probe(t.Context(), th.vip, 5*time.Millisecond)
		must(t, err)
		await(t, p, "")
		clients = append(clients, p)
		ears = append(ears, s.count(announcementBy(holderMAC(t, holder), th.vip)))
	}
	began := time.Now()
	every(t, 100*time.Millisecond, time.Duration(times)*100*time.Millisecond+50*time.Millisecond, func() {
		for _, th := range thefts {
			s.send(th.frames...)
		}
	})
	ended := time.Now()
	for _, th := range thefts {
		until(t, "the thief's MAC in the status", func() error {
			return says(holder, th.family, "is also claimed by the station with MAC "+s.ifi.HardwareAddr.String())
		})
	}
	stays(t, 2*time.Second, func() error { return is(holder, "Active") })
	for i, th := range thefts {
		ears[i].stop()
		heard, lasted := int(ears[i].heard.Load())/announcementFrames(th.vip), time.Since(began)
		t.Logf("%s: %d announcements in %v", th.family, heard, lasted)
		// One a second, and as after a claim another 0.12 s later.
		if most := 2 * (int(lasted/burstGap) + 1); heard == 0 || heard > most {
			t.Errorf("%s: %d announcements in %v, want 1 to %d", th.family, heard, lasted, most)
		}
		recovered(t, clients[i], ended, burstGap)
	}
	moved()
}

// announcementFrames is how many frames one announcement has: ARP has two forms.
func announcementFrames(vip netip.Addr) int {
	if vip.Is4() {
		return 2
	}
	return 1
}

// quiet waits until a new holder announces nothing by itself for a while: it does so
// 2.2 s after the claim, and then after 5 s. What comes next is an answer.
func quiet(t *testing.T, s *cluster.Server) {
	t.Helper()
	until(t, "the announcements to pause", func() error {
		st, err := status(s)
		if err != nil {
			return err
		}
		for _, r := range st.Routers {
			if time.Since(r.Since) < 2400*time.Millisecond {
				return errNotYet
			}
		}
		return nil
	})
}

// announcementBy takes announcements of an address from a MAC.
func announcementBy(mac []byte, vip netip.Addr) func([]byte) bool {
	return func(f []byte) bool {
		if len(f) < 42 || !bytes.Equal(f[6:12], mac) {
			return false
		}
		a := vip.AsSlice()
		if vip.Is4() {
			return binary.BigEndian.Uint16(f[12:]) == unix.ETH_P_ARP && bytes.Equal(f[28:32], a) && bytes.Equal(f[38:42], a)
		}
		return len(f) >= 78 && binary.BigEndian.Uint16(f[12:]) == unix.ETH_P_IPV6 && f[20] == unix.IPPROTO_ICMPV6 && f[54] == 136 &&
			bytes.Equal(f[62:78], a) && f[0] == 0x33
	}
}

func holderMAC(t *testing.T, s *cluster.Server) []byte {
	t.Helper()
	link, err := s.Node.Netlink().LinkByName(lab.Interface)
	must(t, err)
	return link.Attrs().HardwareAddr
}

func conflicts(t *testing.T, s *cluster.Server, family, mac string) int {
	t.Helper()
	n := 0
	for _, e := range history(t, s) {
		if e.Kind == control.KindConflict && e.Family == family && strings.Contains(e.Cause, mac) {
			n++
		}
	}
	return n
}
