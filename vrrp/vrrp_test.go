package vrrp

import (
	"net/netip"
	"testing"

	"github.com/google/go-cmp/cmp"
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
	for c := CauseStartup; c <= CauseWithheld; c++ {
		names["cause"] = append(names["cause"], c.String())
	}
	for g := Grade(0); g <= Ready; g++ {
		names["grade"] = append(names["grade"], g.String())
	}
	if n := len(Reasons()); n != int(AuthReplay) {
		t.Errorf("%d reasons to refuse a packet, the last one is %d", n, AuthReplay)
	}
	for _, r := range append(Reasons(), Accepted) {
		names["reason"] = append(names["reason"], r.String())
	}
	if diff := cmp.Diff([]string{"IPv4", "IPv6"}, []string{IPv4.String(), IPv6.String()}); diff != "" {
		t.Errorf("families (-want +got):\n%s", diff)
	}
	names["checksum"] = []string{ChecksumPseudoHeader.String(), ChecksumRFC9568.String()}
	if diff := cmp.Diff([]string{"pseudo-header", "rfc9568"}, names["checksum"]); diff != "" {
		t.Errorf("kinds of checksum (-want +got):\n%s", diff)
	}
	for kind, all := range names {
		seen := make(map[string]bool)
		for i, name := range all {
			if name == "" || seen[name] || kind == "reason" && name == "unknown" {
				t.Errorf("%s %d is called %q", kind, i, name)
			}
			seen[name] = true
		}
	}
}
