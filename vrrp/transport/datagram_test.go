package transport

import (
	"encoding/binary"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

func TestArrival(t *testing.T) {
	const (
		wall  = int64(1_700_000_000_000_000_000)
		ms    = int64(time.Millisecond)
		now   = vrrp.Instant(10_000 * ms)
		empty = vrrp.Instant(4_000 * ms)
	)
	for _, tt := range []struct {
		name  string
		stamp int64
		want  vrrp.Instant
	}{
		{"just now", wall, now},
		{"waited 300 ms", wall - 300*ms, now - vrrp.Instant(300*ms)},
		{"waited since the socket was empty", wall - 6000*ms, empty},
		{"C30 clock set forward meanwhile", wall - 3600_000*ms, empty},
		{"C30 clock set back meanwhile", wall + 3600_000*ms, now},
		{"no stamp", 0, now},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := arrival(tt.stamp, wall, now, empty); got != tt.want {
				t.Errorf("got %d, want %d", got, tt.want)
			}
		})
	}
}

func TestDecodeIPv4(t *testing.T) {
	plain := append([]byte{0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 198, 51, 100, 1, 224, 0, 0, 18}, advert(51, 12)...)
	options := append(append([]byte{0x46}, plain[1:20]...), append([]byte{0x94, 4, 0, 0}, advert(51, 12)...)...)
	want := &Datagram{
		Src:     netip.MustParseAddr("198.51.100.1"),
		Dst:     netip.MustParseAddr("224.0.0.18"),
		TTL:     255,
		Payload: advert(51, 12),
	}
	for _, tt := range []struct {
		name string
		b    []byte
		want *Datagram
	}{
		{"plain", plain, want},
		{"C07 options", options, want},
		{"empty", nil, nil},
		{"header cut short", plain[:19], nil},
		{"options cut short", options[:22], nil},
		{"header length below 20", append([]byte{0x44}, plain[1:]...), nil},
		{"version 6", append([]byte{0x65}, plain[1:]...), nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := new(Datagram)
			if !got.decodeIPv4(tt.b) {
				got = nil
			}
			if diff := cmp.Diff(tt.want, got, compare...); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzDecodeIPv4(f *testing.F) {
	f.Add(append([]byte{0x45, 0xc0, 0, 32, 0, 0, 0, 0, 255, 112, 0, 0, 198, 51, 100, 1, 224, 0, 0, 18}, advert(51, 12)...))
	f.Add([]byte{0x4f})
	f.Fuzz(func(t *testing.T, b []byte) {
		var d Datagram
		if d.decodeIPv4(b) && len(d.Payload)+20 > len(b) {
			t.Errorf("%d bytes of payload in %d", len(d.Payload), len(b))
		}
	})
}

func TestParseAncillary(t *testing.T) {
	dst := vrrp.IPv6.Group()
	stamp := binary.NativeEndian.AppendUint64(nil, 1_700_000_000)
	stamp = binary.NativeEndian.AppendUint64(stamp, 5)
	info := unix.PktInfo6(&unix.Inet6Pktinfo{Addr: dst.As16(), Ifindex: 7})
	all := append(controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, stamp), info...)
	all = append(all, controlMessage(unix.SOL_IPV6, unix.IPV6_HOPLIMIT, binary.NativeEndian.AppendUint32(nil, 255))...)
	for _, tt := range []struct {
		name string
		b    []byte
		want ancillary
	}{
		{"all", all, ancillary{stamp: 1_700_000_000_000_000_005, hopLimit: 255, dst: dst}},
		{"none", nil, ancillary{}},
		{"another one first", append(controlMessage(unix.SOL_IP, unix.IP_TTL, make([]byte, 4)), info...), ancillary{dst: dst}},
		{"too short for its kind", controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, stamp[:8]), ancillary{}},
		{"cut short", all[:unix.CmsgSpace(16)+4], ancillary{stamp: 1_700_000_000_000_000_005}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := parseAncillary(tt.b)
			if diff := cmp.Diff(tt.want, got, cmp.AllowUnexported(ancillary{}), cmpopts.EquateComparable(netip.Addr{})); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
	}
}

func FuzzParseAncillary(f *testing.F) {
	f.Add(unix.PktInfo6(&unix.Inet6Pktinfo{Addr: vrrp.IPv6.Group().As16()}))
	f.Add(controlMessage(unix.SOL_SOCKET, unix.SO_TIMESTAMPNS_NEW, make([]byte, 16)))
	f.Add(make([]byte, ancillaryLen))
	f.Fuzz(func(_ *testing.T, b []byte) { parseAncillary(b) })
}

// controlMessage lays out a control message as the kernel does: the header is
// the length, in the size of a word, then level and type.
func controlMessage(level, kind int, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	n := unix.CmsgLen(len(data))
	word := unix.SizeofCmsghdr - 8
	if math.MaxInt == math.MaxInt32 {
		binary.NativeEndian.PutUint32(b, uint32(n))
	} else {
		binary.NativeEndian.PutUint64(b, uint64(n))
	}
	binary.NativeEndian.PutUint32(b[word:], uint32(level))
	binary.NativeEndian.PutUint32(b[word+4:], uint32(kind))
	copy(b[unix.CmsgLen(0):], data)
	return b
}
