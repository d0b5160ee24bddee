package vrrp

import (
	"net/netip"
	"testing"
)

func TestFamily(t *testing.T) {
	for _, tt := range []struct {
		addr   string
		family Family
		group  string
		mac    [6]byte
	}{
		{"198.51.100.1", IPv4, "224.0.0.18", [6]byte{0x00, 0x00, 0x5e, 0x00, 0x01, 51}},
		{"::ffff:198.51.100.1", IPv4, "224.0.0.18", [6]byte{0x00, 0x00, 0x5e, 0x00, 0x01, 51}},
		{"2001:db8::1", IPv6, "ff02::12", [6]byte{0x00, 0x00, 0x5e, 0x00, 0x02, 51}},
	} {
		f := FamilyOf(netip.MustParseAddr(tt.addr))
		if f != tt.family || f.Group() != netip.MustParseAddr(tt.group) || VirtualMAC(f, 51) != tt.mac {
			t.Errorf("%s: %v, group %v, virtual MAC %x; want %v, %s, %x", tt.addr, f, f.Group(), VirtualMAC(f, 51), tt.family, tt.group, tt.mac)
		}
	}
}

func TestNewActiveReason(t *testing.T) {
	for c, want := range map[Cause]string{
		CauseOwner: "priority", CausePreempt: "preempted", CauseUnfit: "preempted", CauseSilence: "no-response", CauseLeft: "no-response",
		CauseResumed: "not-master",
	} {
		if got := c.NewActiveReason(); got != want {
			t.Errorf("%v: %q, want %q", c, got, want)
		}
	}
}

// TestNames wants a name of its own for every value that has one.
func TestNames(t *testing.T) {
	names := make(map[string][]string)
	for k := evTick; k <= evConfigure; k++ {
		names["event"] = append(names["event"], Event{kind: k}.String())
	}
	for k := Send; k <= Stopped; k++ {
		names["effect"] = append(names["effect"], k.String())
	}
	for s := Initialize; s <= Active; s++ {
		names["state"] = append(names["state"], s.String())
	}
	for c := CauseStartup; c <= CauseUnready; c++ {
		names["cause"] = append(names["cause"], c.String())
	}
	for g := Grade(0); g <= Ready; g++ {
		names["grade"] = append(names["grade"], g.String())
	}
	names["checksum"] = []string{ChecksumPseudoHeader.String(), ChecksumRFC9568.String()}
	for kind, all := range names {
		seen := make(map[string]bool)
		for i, name := range all {
			if name == "" || seen[name] {
				t.Errorf("%s %d is called %q", kind, i, name)
			}
			seen[name] = true
		}
	}
}
