package vip

import (
	"strings"
	"testing"
)

func TestRefusedSysctlsAreOneError(t *testing.T) {
	err := set([]sysctl{{"ipv4", "nosuch", "arp_ignore", 1}, {"ipv4", "nosuch", "arp_filter", 2}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"nosuch/arp_ignore", "to 1", "nosuch/arp_filter", "to 2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
}
