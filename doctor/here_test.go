package doctor

import (
	"bytes"
	"context"
	"encoding/binary"
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/vrrp"
)

// ethernet makes the frame of a packet as it comes in.
func ethernet(src, dst netip.Addr, payload []byte) []byte {
	b := append([]byte{1, 0, 0x5e, 0, 0, 18, 2, 0, 0, 0, 0, 2, 8, 0}, make([]byte, ipv4Len)...)
	ip := b[etherLen:]
	ip[0], ip[8], ip[9] = 0x45, vrrp.TTL, vrrp.Protocol
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Len+len(payload)))
	copy(ip[12:], src.AsSlice())
	copy(ip[16:], dst.AsSlice())
	return append(b, payload...)
}

func ethernet6(src, dst netip.Addr, payload []byte) []byte {
	b := append([]byte{0x33, 0x33, 0, 0, 0, 18, 2, 0, 0, 0, 0, 2, 0x86, 0xdd}, make([]byte, ipv6Len)...)
	ip := b[etherLen:]
	ip[0], ip[6], ip[7] = 0x60, vrrp.Protocol, vrrp.TTL
	binary.BigEndian.PutUint16(ip[4:], uint16(len(payload)))
	copy(ip[8:], src.AsSlice())
	copy(ip[24:], dst.AsSlice())
	return append(b, payload...)
}

func TestDecode(t *testing.T) {
	six := netip.MustParseAddr("fe80::12")
	for name, tt := range map[string]struct {
		frame  []byte
		family vrrp.Family
		src    netip.Addr
		want   bool
	}{
		"IPv4":          {ethernet(peerAddr, vrrp.IPv4.Group(), []byte("abc")), vrrp.IPv4, peerAddr, true},
		"IPv6":          {ethernet6(six, vrrp.IPv6.Group(), []byte("abc")), vrrp.IPv6, six, true},
		"padded":        {append(ethernet(peerAddr, vrrp.IPv4.Group(), []byte("abc")), 0, 0, 0), vrrp.IPv4, peerAddr, true},
		"cut":           {ethernet(peerAddr, vrrp.IPv4.Group(), []byte("abc"))[:36], vrrp.IPv4, peerAddr, false},
		"cut IPv6":      {ethernet6(six, vrrp.IPv6.Group(), []byte("abc"))[:50], vrrp.IPv6, six, false},
		"nothing":       {nil, vrrp.IPv4, peerAddr, false},
		"wrong version": {ethernet(peerAddr, vrrp.IPv4.Group(), make([]byte, 40)), vrrp.IPv6, peerAddr, false},
	} {
		f, ok := decode(tt.frame, tt.family)
		if ok != tt.want || ok && (f.Header.Src != tt.src || f.Header.TTL != vrrp.TTL || f.Header.Dst != tt.family.Group() ||
			!bytes.Equal(f.MAC, peerMAC) || string(f.Payload) != "abc") {
			t.Errorf("%s: %v %+v", name, ok, f)
		}
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(ethernet(peerAddr, vrrp.IPv4.Group(), []byte("abc")))
	f.Add(ethernet6(netip.MustParseAddr("fe80::12"), vrrp.IPv6.Group(), []byte("abc")))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, family := range []vrrp.Family{vrrp.IPv4, vrrp.IPv6} {
			if got, ok := decode(b, family); ok && len(got.Payload) > len(b) {
				t.Errorf("%d bytes of %d", len(got.Payload), len(b))
			}
		}
	})
}

// What systemctl show prints, of two releases.
func TestUnitFacts(t *testing.T) {
	const text = `LoadState=loaded
ActiveState=failed
UnitFileState=enabled
Result=exit-code
ExecMainStatus=214
MainPID=0
CPUSchedulingPolicy=2
Nice=0
LimitMEMLOCK=infinity
FragmentPath=/usr/lib/systemd/system/vipd.service
DropInPaths=/etc/systemd/system/vipd.service.d/a.conf /etc/systemd/system/vipd.service.d/b.conf
ExecStart={ path=/usr/bin/vipd ; argv[]=/usr/bin/vipd run ; ignore_errors=no ; start_time=[n/a] ; pid=0 }
`
	want := Unit{
		Given: map[string]string{"Nice": "0", "LimitMEMLOCK": "infinity"},
		Name:  agentUnit, LoadState: "loaded", ActiveState: "failed", UnitFileState: "enabled", Result: "exit-code", ExitStatus: 214, Policy: "2", Path: "/usr/lib/systemd/system/vipd.service",
		DropIns:   []string{"/etc/systemd/system/vipd.service.d/a.conf", "/etc/systemd/system/vipd.service.d/b.conf"},
		ExecStart: "{ path=/usr/bin/vipd ; argv[]=/usr/bin/vipd run ; ignore_errors=no ; start_time=[n/a] ; pid=0 }",
	}
	got := readUnit(agentUnit, []byte(text))
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if !runs(got, "vipd") || runs(got, "k3s") || !isRealTime(policyName(got.Policy)) {
		t.Errorf("%+v", got)
	}
}

// A program that is not there, one that fails, and one that prints.
func TestCommandsOfTheHost(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	if out, err := (hostCommands{}).Run(ctx, "echo", "yes"); err != nil || string(out) != "yes\n" {
		t.Errorf("%q, %v", out, err)
	}
	if _, err := (hostCommands{}).Run(ctx, "false"); err == nil {
		t.Error("no error")
	}
}
