package agent

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/config"
)

func addrList(list ...string) []netip.Addr {
	var out []netip.Addr
	for _, s := range list {
		out = append(out, netip.MustParseAddr(s))
	}
	return out
}

func TestSegmentVRIDs(t *testing.T) {
	heard := segmentVRIDs{
		51:  {src: own, addrs: addrList("198.51.100.102", "198.51.100.100"), interval: time.Second},
		100: {src: other}, // version 2
		101: {src: peer, addrs: addrList("198.51.100.101"), interval: interval},
		255: {src: other},
	}
	t.Run("with", func(t *testing.T) {
		for name, tt := range map[string]struct {
			addrs []netip.Addr
			want  uint8
		}{
			"in another order": {addrList("198.51.100.100", "198.51.100.102"), 51},
			"one of them":      {addrList("198.51.100.100"), 0},
			"alone":            {addrList("198.51.100.101"), 101},
			"nobody's":         {addrList("198.51.100.7"), 0},
		} {
			if got, ok := heard.with(tt.addrs); got != tt.want || ok != (tt.want != 0) {
				t.Errorf("%s: %d, %v; want %d", name, got, ok, tt.want)
			}
		}
	})
	t.Run("free", func(t *testing.T) {
		for addr, want := range map[string]uint8{
			"198.51.100.7":   7,
			"198.51.100.100": 102,
			"198.51.100.255": 1,
			"198.51.100.0":   1,
			"2001:db8::1:33": 52,
		} {
			if got, ok := heard.free(netip.MustParseAddr(addr)); got != want || !ok {
				t.Errorf("%s: %d, %v; want %d", addr, got, ok, want)
			}
		}
		full := make(segmentVRIDs)
		for v := 1; v <= 255; v++ {
			full[uint8(v)] = announced{}
		}
		if v, ok := full.free(own); ok {
			t.Errorf("all in use: %d", v)
		}
	})
}

// A server that joins takes over what differs from the defaults, unless told otherwise.
func TestJoin(t *testing.T) {
	for _, tt := range []struct {
		name                string
		wished, heard, want time.Duration
	}{
		{"the default", 0, interval, 0},
		{"another", 0, time.Second, time.Second},
		{"told otherwise", interval, time.Second, interval},
		{"one that vipd has not", 0, 0, 0},
	} {
		d := config.Draft{AdvertInterval: tt.wished, Why: make(map[string]string)}
		join(&d, 51, announced{src: own, interval: tt.heard})
		if strings.Contains(d.Why["vip.vrid"], "[auth]") {
			t.Errorf("%s: %s", tt.name, d.Why["vip.vrid"])
		}
		if d.VRID != 51 || d.AdvertInterval != tt.want {
			t.Errorf("%s: VRID %d, interval %v, want 51, %v", tt.name, d.VRID, d.AdvertInterval, tt.want)
		}
	}
}

func TestJoinSigned(t *testing.T) {
	d := config.Draft{Why: make(map[string]string)}
	join(&d, 51, announced{src: own, interval: interval, signed: true})
	if !strings.Contains(d.Why["vip.vrid"], "[auth]") {
		t.Error(d.Why["vip.vrid"])
	}
}
