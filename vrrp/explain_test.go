package vrrp_test

import (
	"strings"
	"testing"

	"github.com/vipd/vipd/vrrp"
)

// Every reason has a fault, of a sender that it names, and a remedy of one line; but those for
// which nobody is to blame.
func TestExplain(t *testing.T) {
	silent := map[vrrp.Reason]bool{vrrp.OwnSource: true, vrrp.BadVRID: true, vrrp.BadFirstAddress: true}
	for _, r := range vrrp.Reasons() {
		fault, remedy := r.Explain("198.51.100.12")
		if silent[r] != (fault == "") || silent[r] != (remedy == "") {
			t.Errorf("%v: %q; %q", r, fault, remedy)
		}
		if !silent[r] && !strings.Contains(fault, "198.51.100.12") {
			t.Errorf("%v: whose? %q", r, fault)
		}
		if strings.Contains(fault+remedy, "\n") {
			t.Errorf("%v: more than a line: %q; %q", r, fault, remedy)
		}
	}
}
