package vrrp

import (
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp/cmpopts"
)

// golden is a datagram that a real peer sent; see testdata/packets.
type golden struct {
	family  Family
	header  Header
	payload []byte
}

// equateAddrs lets cmp look at addresses.
var equateAddrs = cmpopts.EquateComparable(netip.Addr{})

// readGolden reads a captured Ethernet frame and takes its Ethernet and IP
// headers off.
func readGolden(t testing.TB, name string) golden {
	t.Helper()
	return decap(t, readHex(t, name+".hex"))
}

// readPayload reads a file that holds the VRRP payload alone.
func readPayload(t testing.TB, name string) []byte {
	t.Helper()
	return readHex(t, name+".payload.hex")
}

func readHex(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("testdata", "packets", name))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return b
}

func decap(t testing.TB, frame []byte) golden {
	t.Helper()
	ip := frame[14:]
	switch etherType := binary.BigEndian.Uint16(frame[12:]); etherType {
	case 0x0800:
		src, dst := netip.AddrFrom4([4]byte(ip[12:])), netip.AddrFrom4([4]byte(ip[16:]))
		length := binary.BigEndian.Uint16(ip[2:])
		return golden{IPv4, Header{Src: src, Dst: dst, TTL: int(ip[8])}, ip[int(ip[0]&0x0f)*4 : length]}
	case 0x86dd:
		src, dst := netip.AddrFrom16([16]byte(ip[8:])), netip.AddrFrom16([16]byte(ip[24:]))
		return golden{IPv6, Header{Src: src, Dst: dst, TTL: int(ip[7])}, ip[40:]}
	default:
		t.Fatalf("EtherType %#04x", etherType)
		return golden{}
	}
}

// checksumIPv6 does the kernel's part: it computes the checksum of payload b,
// trailer included, over the pseudo-header of RFC 8200, section 8.1.
func checksumIPv6(b []byte, h Header) uint16 {
	src, dst := h.Src.As16(), h.Dst.As16()
	sum := sumWords(sumWords(Protocol+uint32(len(b)), src[:]), dst[:])
	sum = sumWords(sumWords(sum, b[:6]), b[8:])
	for sum>>16 != 0 {
		sum = sum>>16 + sum&0xffff
	}
	return ^uint16(sum)
}

// addrs parses addresses that are separated by blanks.
func addrs(s string) []netip.Addr {
	var all []netip.Addr
	for f := range strings.FieldsSeq(s) {
		all = append(all, netip.MustParseAddr(f))
	}
	return all
}

// manyAddrs returns n addresses of one family.
func manyAddrs(f Family, n int) []netip.Addr {
	a := netip.MustParseAddr("198.51.100.0")
	if f == IPv6 {
		a = netip.MustParseAddr("fe80::100")
	}
	all := make([]netip.Addr, 0, n)
	for range n {
		all = append(all, a)
		a = a.Next()
	}
	return all
}

// The virtual routers of the captures.
var (
	goldenIPv4 = Packet{Version: 3, VRID: 51, Priority: 150, Interval: time.Second, Addrs: addrs("198.51.100.100 198.51.100.101")}
	goldenIPv6 = Packet{Version: 3, VRID: 61, Priority: 150, Interval: time.Second, Addrs: addrs("fe80::100 2001:db8::100")}
)

func withPriority(p Packet, priority uint8) Packet {
	p.Priority = priority
	return p
}
