package watch

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/vrrp"
)

// golden returns a frame that another implementation sent; see vrrp/testdata/packets.
func golden(t testing.TB, name string) []byte {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "vrrp", "testdata", "packets", name))
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(name, ".payload.") {
		return ipv4Frame(b, "198.51.100.12", vrrp.TTL)
	}
	return b
}

// ipv4Frame puts headers before a VRRP message.
func ipv4Frame(payload []byte, src string, ttl byte) []byte {
	ip := make([]byte, ipv4Len, ipv4Len+len(payload))
	ip[0], ip[8], ip[9] = 0x45, ttl, vrrp.Protocol
	binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Len+len(payload)))
	copy(ip[12:], net.ParseIP(src).To4())
	copy(ip[16:], vrrp.IPv4.Group().AsSlice())
	head := []byte{1, 0, 0x5e, 0, 0, 18, 2, 0, 0, 0, 0, 12, 0x08, 0x00}
	return append(append(head, ip...), payload...)
}

// sentAt is when the signed packets were recorded.
var sentAt = time.Unix(1795344844, 123_456_789)

// newWatcher returns one with the rules of a vipd.toml; "" for none.
func newWatcher(t testing.TB, text string) *watcher {
	t.Helper()
	w := &watcher{rules: newRules(nil, nil, nil)}
	if text != "" {
		cfg, err := config.Parse("vipd.toml", []byte(text), config.Host{})
		if err != nil {
			t.Fatal(err)
		}
		w.rules = newRules(cfg, nil, func(config.VIP) string { return "" })
	}
	w.obs = newObserver(nil, w.vips(), sentAt)
	return w
}

func (w *watcher) lines(frame []byte, own bool) []string {
	var list []string
	ifi := &net.Interface{Name: "eth0"}
	for _, e := range w.look(captured{ifi: ifi, at: sentAt, frame: frame, own: own, size: len(frame)}, sentAt) {
		text, _ := line(e)
		list = append(list, text)
	}
	return list
}

// keysIn writes the keys of the signed packets.
func keysIn(t *testing.T) (one, seven string) {
	t.Helper()
	dir := t.TempDir()
	var first []byte
	for i := range 32 {
		first = append(first, byte(i))
	}
	for name, key := range map[string][]byte{"1": first, "7": []byte("an ascii key of exactly 32 bytes")} {
		if err := os.WriteFile(filepath.Join(dir, name), key, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return filepath.Join(dir, "1"), filepath.Join(dir, "7")
}

const twoVIPs = `
[[vip]]
name = "a"
addresses = ["198.51.100.100", "198.51.100.101"]
vrid = 51
advert_interval = "1s"
[[vip]]
name = "b"
addresses = ["2001:db8::100", "fe80::100"]
vrid = 61
advert_interval = "250ms"
`

func TestGoldenPackets(t *testing.T) {
	one, seven := keysIn(t)
	auth := func(mode, first string) string {
		return twoVIPs + fmt.Sprintf("[auth]\nmode = %q\nactive_key = 7\nkeys = [{ id = 1, file = %q }, { id = 7, file = %q }]\n", mode, first, seven)
	}
	const (
		four = "eth0  198.51.100.11    VRID 51  priority 150 (ready)  each 1s  198.51.100.100,198.51.100.101  checksum pseudo-header  "
		six  = "  VRID 61  priority 150 (ready)  each 1s  fe80::100,2001:db8::100  checksum ok  "
		two  = "eth0  198.51.100.12    VRID 51  priority 150 (ready)  version 2  each 1s  198.51.100.100  checksum unknown  unsigned  " +
			"REFUSED version-errors: VRRP version 2: set the sender to version 3 (keepalived: vrrp_version 3)"
	)
	for name, tt := range map[string]struct{ rules, file, want string }{
		"plain":                {twoVIPs, "v3-ipv4-prio150.hex", four + "unsigned"},
		"plain, no rules":      {"", "v3-ipv4-prio150.hex", four + "unsigned"},
		"it leaves":            {twoVIPs, "v3-ipv4-prio0.hex", strings.Replace(four, "150 (ready)", "0 (leaving)", 1) + "unsigned"},
		"IPv6":                 {twoVIPs, "v3-ipv6-prio150.hex", six + "unsigned  vipd.toml here says each 250ms"},
		"version 2":            {twoVIPs, "v2-ipv4.payload.hex", two},
		"version 2, no rules":  {"", "v2-ipv4.payload.hex", two},
		"other addresses":      {twoVIPs, "v3-ipv4-frr.payload.hex", "checksum pseudo-header  unsigned  vipd.toml here has other addresses for this VRID"},
		"signed":               {auth("enforce", one), "auth-v3-ipv4-prio150.hex", "signed, key 1, verified"},
		"signed, IPv6":         {auth("enforce", one), "auth-v3-ipv6-prio150.hex", "signed, key 7, verified  vipd.toml here says each 250ms"},
		"signed, no rules":     {"", "auth-v3-ipv4-prio150.hex", "signed, key 1, not verified"},
		"signed, no [auth]":    {twoVIPs, "auth-v3-ipv4-prio150.hex", "signed, key 1, not verified  REFUSED auth-unexpected: signed, and this host has no [auth]: give it mode = \"receive-only\" and the keys"},
		"another key":          {auth("enforce", seven), "auth-v3-ipv4-prio150.hex", "signed, key 1, not verified  REFUSED auth-bad-hmac: signed with a key of the right id and the wrong bytes, or forged"},
		"the key is not there": {auth("enforce", "/nonexistent/1"), "auth-v3-ipv4-prio150.hex", "signed, key 1, not verified  the key is not readable here, so its signature was not verified"},
		"unsigned, enforce":    {auth("enforce", one), "v3-ipv4-prio150.hex", "unsigned  REFUSED auth-missing: not signed: give the sender the [auth] of this host, or set mode to \"permissive\" until all have it"},
		"unsigned, permissive": {auth("permissive", one), "v3-ipv4-prio150.hex", "unsigned  not signed, which mode \"enforce\" would refuse"},
	} {
		t.Run(name, func(t *testing.T) {
			got := newWatcher(t, tt.rules).lines(golden(t, tt.file), false)
			if len(got) != 1 || !strings.HasSuffix(got[0], tt.want) || !strings.HasPrefix(got[0], "eth0  ") {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

func TestDamagedPackets(t *testing.T) {
	for name, tt := range map[string]struct {
		damage func(frame []byte) []byte
		want   string
	}{
		"TTL":       {func(b []byte) []byte { b[ethernetLen+8] = 254; return b }, "REFUSED ip-ttl-errors: its TTL is not 255: it was forged or came through a router"},
		"checksum":  {func(b []byte) []byte { b[ethernetLen+ipv4Len+2] = 151; return b }, "checksum bad  unsigned  REFUSED checksum-errors: wrong checksum: damaged, or computed in another way"},
		"fragment":  {func(b []byte) []byte { b[ethernetLen+6] = 0x20; return b }, "REFUSED packet-length-errors: its length is not what its own fields say"},
		"unicast":   {func(b []byte) []byte { copy(b[ethernetLen+16:], []byte{198, 51, 100, 12}); return b }, "REFUSED destination-errors: sent to the wrong place: some routers use unicast peers and others multicast, or peers lacks the sender"},
		"too short": {func(b []byte) []byte { b[ethernetLen+3] = ipv4Len + 6; return b }, "REFUSED packet-length-errors: its length is not what its own fields say"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWatcher(t, twoVIPs)
			if name == "too short" {
				w = newWatcher(t, "")
			}
			if got := w.lines(tt.damage(golden(t, "v3-ipv4-prio150.hex")), false); len(got) != 1 || !strings.HasSuffix(got[0], tt.want) {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}

// What this host sends is not refused as forged; what claims to come from it is.
func TestOwnPackets(t *testing.T) {
	cfg, err := config.Parse("vipd.toml", []byte(twoVIPs), config.Host{})
	if err != nil {
		t.Fatal(err)
	}
	own := []netip.Addr{netip.MustParseAddr("198.51.100.11")}
	w := newWatcher(t, "")
	w.rules = newRules(cfg, own, func(config.VIP) string { return "eth0" })
	if got := w.lines(golden(t, "v3-ipv4-prio150.hex"), true); len(got) != 1 || !strings.Contains(got[0], "198.51.100.11 (this host)") || strings.Contains(got[0], "REFUSED") {
		t.Errorf("%q", got)
	}
	if got := w.lines(golden(t, "v3-ipv4-prio150.hex"), false); len(got) != 1 || !strings.Contains(got[0], "REFUSED own-source") {
		t.Errorf("%q", got)
	}
}

// To unicast peers goes a copy each, from an address that need not be among them.
func TestUnicast(t *testing.T) {
	cfg, err := config.Parse("vipd.toml", []byte("[[vip]]\naddresses = [\"198.51.100.100\"]\nvrid = 51\npeers = [\"198.51.100.11\"]\n"), config.Host{})
	if err != nil {
		t.Fatal(err)
	}
	us, peer, stranger := netip.MustParseAddr("198.51.100.12"), netip.MustParseAddr("198.51.100.11"), netip.MustParseAddr("198.51.100.13")
	w := newWatcher(t, "")
	w.rules = newRules(cfg, []netip.Addr{us}, func(config.VIP) string { return "eth0" })
	send := func(src, dst netip.Addr) []byte {
		p := vrrp.Packet{VRID: 51, Priority: 200, Interval: 250 * time.Millisecond, Addrs: []netip.Addr{netip.MustParseAddr("198.51.100.100")}}
		frame := ipv4Frame(p.Append(nil, src, dst, vrrp.ChecksumPseudoHeader), src.String(), 64)
		copy(frame[ethernetLen+16:], dst.AsSlice())
		return frame
	}
	for name, tt := range map[string]struct {
		frame   []byte
		own     bool
		refused string
	}{
		"ours":         {send(us, peer), true, ""},
		"the peer's":   {send(peer, us), false, ""},
		"a stranger's": {send(stranger, us), false, "destination-errors"},
	} {
		got := w.lines(tt.frame, tt.own)
		if len(got) != 1 || strings.Contains(got[0], "REFUSED") != (tt.refused != "") || !strings.Contains(got[0], "REFUSED "+tt.refused) && tt.refused != "" {
			t.Errorf("%s: %q", name, got)
		}
	}
}

// Each reason has its words.
func TestWhy(t *testing.T) {
	for _, r := range vrrp.Reasons() {
		if text := why(r, 2); r != vrrp.BadVRID && text == r.String() {
			t.Errorf("%v has no words", r)
		}
	}
}

func TestAnnouncements(t *testing.T) {
	request := []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 11, 0x08, 0x06, 0, 1, 8, 0, 6, 4, 0, 1, 2, 0, 0, 0, 0, 11, 198, 51, 100, 100, 0, 0, 0, 0, 0, 0, 198, 51, 100, 100}
	reply := append([]byte(nil), request...)
	reply[21] = 2
	answer := append([]byte(nil), reply...)
	answer[41] = 1
	stranger := append([]byte(nil), request...)
	stranger[31], stranger[41] = 7, 7
	for name, tt := range map[string]struct {
		frame []byte
		want  []string
	}{
		"request":         {request, []string{"eth0  198.51.100.100 is at 02:00:00:00:00:0b  gratuitous ARP request"}},
		"reply":           {reply, []string{"eth0  198.51.100.100 is at 02:00:00:00:00:0b  gratuitous ARP reply"}},
		"an answer":       {answer, nil},
		"another address": {stranger, nil},
		"cut off":         {request[:30], nil},
	} {
		if diff := cmp.Diff(tt.want, newWatcher(t, twoVIPs).lines(tt.frame, false)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// FuzzFrame feeds whatever may come from a wire.
func FuzzFrame(f *testing.F) {
	files, err := filepath.Glob("../vrrp/testdata/packets/*.hex")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		f.Add(golden(f, filepath.Base(path)))
	}
	f.Fuzz(func(t *testing.T, frame []byte) {
		for _, rules := range []string{"", twoVIPs} {
			for _, l := range newWatcher(t, rules).lines(frame, false) {
				if strings.ContainsAny(l, "\n\x1b") {
					t.Errorf("%q", l)
				}
			}
		}
	})
}
