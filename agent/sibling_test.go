package agent

import (
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/vipd/vipd/agent/control"
)

// A second interface of this host in the same network answers for the address, too: that
// is no conflict, but worth a word on how to end it.
func TestSecondInterfaceAnswers(t *testing.T) {
	wired(t)
	second, err := netlink.LinkByName(farEnd)
	must(t, err)
	must(t, netlink.LinkSetARPOn(second))
	n := start(t, oneVIP)
	n.stop()
	var log pages
	n.opts.Logger = slog.New(slog.NewTextHandler(&log, nil))
	n.run()
	n.active("k3s", "198.51.100.100")
	within(t, 5*time.Second, "it says which interface", func() bool { return strings.Contains(log.String(), "net.ipv4.conf."+farEnd+".arp_ignore=1") })
	time.Sleep(conflictTime + 2*conflictDelay) // whether it takes that for a conflict, too
	events, err := n.History(t.Context())
	must(t, err)
	for _, e := range events {
		if e.Kind == control.KindConflict {
			t.Errorf("a conflict with itself: %s", e.Cause)
		}
	}
	if p := n.routerOf("k3s").Problems; len(p) > 0 {
		t.Errorf("problems: %q", p)
	}
}
