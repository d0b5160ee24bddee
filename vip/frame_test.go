package vip

import (
	"encoding/hex"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/mdlayher/arp"
	"golang.org/x/net/bpf"

	"github.com/vipd/vipd/vrrp"
)

var testMAC = net.HardwareAddr{0x02, 0, 0, 0, 0, 0x0a}

// Frames written by hand from the RFCs; blanks separate the fields.
const (
	garpRequest = "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a c6336464 000000000000 c6336464"
	garpReply   = "ffffffffffff 02000000000a 0806 0001 0800 06 04 0002 02000000000a c6336464 02000000000a c6336464"
	probe4      = "ffffffffffff 02000000000a 0806 0001 0800 06 04 0001 02000000000a 00000000 000000000000 c6336464"
	na          = "333300000001 02000000000a 86dd 60000000 0020 3a ff" +
		" 20010db8000000000000000000000100 ff020000000000000000000000000001" +
		" 88 00 ---- 20000000 20010db8000000000000000000000100 0201 02000000000a"
	naRouter = "333300000001 02000000000a 86dd 60000000 0020 3a ff" +
		" 20010db8000000000000000000000100 ff020000000000000000000000000001" +
		" 88 00 ---- a0000000 20010db8000000000000000000000100 0201 02000000000a"
	probe6 = "3333ff000100 02000000000a 86dd 60000000 0018 3a ff" +
		" 00000000000000000000000000000000 ff0200000000000000000001ff000100" +
		" 87 00 ---- 00000000 20010db8000000000000000000000100"
)

func TestC41FrameBytes(t *testing.T) {
	for _, tt := range []struct {
		name string
		got  []byte
		want string
	}{
		{"C41 gratuitous request", arpAnnouncement(arp.OperationRequest, testMAC, vip4), garpRequest},
		{"C41 gratuitous reply", arpAnnouncement(arp.OperationReply, testMAC, vip4), garpReply},
		{"C41 probe", arpProbe(testMAC, vip4), probe4},
		{"C46 advertisement of a host", naAnnouncement(testMAC, vip6, false), na},
		{"C46 advertisement of a router", naAnnouncement(testMAC, vip6, true), naRouter},
		{"solicitation", nsProbe(testMAC, vip6), probe6},
	} {
		t.Run(tt.name, func(t *testing.T) { checkFrame(t, tt.got, tt.want) })
	}
}

// checkFrame compares up to padding, and verifies the checksum where want has ----.
func checkFrame(t *testing.T, got []byte, want string) {
	t.Helper()
	want = strings.ReplaceAll(want, " ", "")
	if i := strings.Index(want, "----"); i >= 0 && len(got) > i/2+2 {
		if sum := sum16(got[ethernetLen+8:ethernetLen+40], got[ethernetLen+40:], []byte{0, byte(len(got) - ethernetLen - 40), 0, icmpv6}); sum != 0xffff {
			t.Errorf("ICMPv6 checksum is wrong: sum %#x", sum)
		}
		want = want[:i] + hex.EncodeToString(got[i/2:i/2+2]) + want[i+4:]
	}
	end := min(len(got), len(want)/2)
	if d := cmp.Diff(want, hex.EncodeToString(got[:end])); d != "" {
		t.Error(d)
	}
	for _, b := range got[end:] {
		if b != 0 {
			t.Errorf("padding is not zero: %x", got[end:])
			break
		}
	}
}

func sum16(parts ...[]byte) uint32 {
	var sum uint32
	for _, p := range parts {
		for i, b := range p {
			sum += uint32(b) << (8 * (1 - i%2))
		}
	}
	for sum > 0xffff {
		sum = sum>>16 + sum&0xffff
	}
	return sum
}

func frameOf(s string) []byte {
	b, err := hex.DecodeString(strings.NewReplacer(" ", "", "----", "0000").Replace(s))
	if err != nil {
		panic(err)
	}
	return b
}

var heardCases = []struct {
	name  string
	f     vrrp.Family
	frame []byte
	want  Heard
	ok    bool
}{
	{"gratuitous request", vrrp.IPv4, frameOf(garpRequest), Heard{vip4, testMAC, true}, true},
	{"gratuitous reply", vrrp.IPv4, frameOf(garpReply), Heard{vip4, testMAC, true}, true},
	{"question by the holder", vrrp.IPv4, frameOf(strings.TrimSuffix(garpRequest, "c6336464") + "c6336401"), Heard{vip4, testMAC, false}, true},
	{"probe names no sender", vrrp.IPv4, frameOf(probe4), Heard{netip.IPv4Unspecified(), testMAC, false}, true},
	{"advertisement", vrrp.IPv6, frameOf(na), Heard{vip6, testMAC, true}, true},
	{"solicited", vrrp.IPv6, frameOf(strings.Replace(na, " 20000000 ", " 60000000 ", 1)), Heard{vip6, testMAC, false}, true},
	{"through a router", vrrp.IPv6, frameOf(strings.Replace(na, "3a ff", "3a fe", 1)), Heard{}, false},
	{"solicitation", vrrp.IPv6, frameOf(probe6), Heard{}, false},
	{"cut ARP", vrrp.IPv4, frameOf(garpRequest)[:30], Heard{}, false},
	{"cut advertisement", vrrp.IPv6, frameOf(na)[:60], Heard{}, false},
	{"option of length 0", vrrp.IPv6, frameOf(strings.Replace(na, "0201", "fe00", 1)), Heard{}, false},
}

func parserOf(f vrrp.Family) func([]byte) (Heard, bool) {
	if f == vrrp.IPv4 {
		return parseARP
	}
	return parseNA
}

func TestParse(t *testing.T) {
	for _, tt := range heardCases {
		t.Run(tt.name, func(t *testing.T) {
			got, ok := parserOf(tt.f)(tt.frame)
			if ok != tt.ok {
				t.Fatalf("ok = %v, want %v", ok, tt.ok)
			}
			if d := cmp.Diff(tt.want, got, cmp.Comparer(func(a, b netip.Addr) bool { return a == b })); d != "" {
				t.Error(d)
			}
		})
	}
}

func FuzzParseARP(f *testing.F) { fuzz(f, vrrp.IPv4) }
func FuzzParseNA(f *testing.F)  { fuzz(f, vrrp.IPv6) }

func fuzz(f *testing.F, family vrrp.Family) {
	for _, c := range heardCases {
		if c.f == family {
			f.Add(c.frame)
		}
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		h, ok := parserOf(family)(frame)
		if !ok {
			return
		}
		if vrrp.FamilyOf(h.Addr) != family {
			t.Errorf("%v from an %v frame", h.Addr, family)
		}
	})
}

func TestFilter(t *testing.T) {
	many := func(f func(i byte) netip.Addr) (out []netip.Addr) {
		for i := range byte(vrrp.MaxAddresses) {
			out = append(out, f(i))
		}
		return out
	}
	all4 := many(func(i byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 51, 100, i}) })
	all6 := many(func(i byte) netip.Addr {
		return netip.AddrFrom16([16]byte{0x20, 0x01, 0x0d, 0xb8, 14: 1, 15: i})
	})
	frame4 := func(i byte) []byte { return arpAnnouncement(arp.OperationReply, testMAC, all4[i]) }
	frame6 := func(i byte) []byte { return naAnnouncement(testMAC, all6[i], false) }
	for _, tt := range []struct {
		name  string
		f     vrrp.Family
		addrs []netip.Addr
		frame []byte
		want  bool
	}{
		{"none watched", vrrp.IPv4, nil, frame4(0), false},
		{"first of 255", vrrp.IPv4, all4, frame4(0), true},
		{"last of 255", vrrp.IPv4, all4, frame4(254), true},
		{"other", vrrp.IPv4, all4[:1], frame4(1), false},
		{"none watched, IPv6", vrrp.IPv6, nil, frame6(0), false},
		{"first of 255, IPv6", vrrp.IPv6, all6, frame6(0), true},
		{"last of 255, IPv6", vrrp.IPv6, all6, frame6(254), true},
		{"other, IPv6", vrrp.IPv6, all6[:1], frame6(1), false},
		{"solicitation", vrrp.IPv6, all6[:1], nsProbe(testMAC, all6[0]), false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			vm, err := bpf.NewVM(claimsOf(tt.f, tt.addrs))
			if err != nil {
				t.Fatal(err)
			}
			n, err := vm.Run(tt.frame)
			if err != nil {
				t.Fatal(err)
			}
			if got := n > 0; got != tt.want {
				t.Errorf("passed = %v, want %v", got, tt.want)
			}
		})
	}
}
