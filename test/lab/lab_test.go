package lab

import (
	"net/netip"
	"testing"
)

func TestNodesReachEachOtherUntilCut(t *testing.T) {
	l := NewTest(t, "ping", "bridge")
	a, err := l.Add("a", netip.MustParsePrefix("198.51.100.1/24"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Add("b", netip.MustParsePrefix("198.51.100.2/24")); err != nil {
		t.Fatal(err)
	}
	// One answer within so many seconds.
	ping := func(seconds string) error {
		_, err := a.Run("ping", "-c1", "-w"+seconds, "198.51.100.2")
		return err
	}
	if err := ping("5"); err != nil {
		t.Fatal(err)
	}
	for name, step := range map[string][2]func(*Node) error{"cut": {l.Cut, l.Join}, "unplug": {l.Unplug, l.Plug}} {
		if err := step[0](a); err != nil {
			t.Fatal(err)
		}
		if ping("1") == nil {
			t.Errorf("%s: still reaches the other", name)
		}
		if err := step[1](a); err != nil {
			t.Fatal(err)
		}
		if err := ping("5"); err != nil {
			t.Errorf("%s undone: %v", name, err)
		}
	}
}

func TestRenewLeavesTheHardwareAddressAlone(t *testing.T) {
	l := NewTest(t)
	n, err := l.Add("a", netip.MustParsePrefix("198.51.100.1/24"))
	if err != nil {
		t.Fatal(err)
	}
	before, err := n.Netlink().LinkByName(Interface)
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Renew(n); err != nil {
		t.Fatal(err)
	}
	after, err := n.Netlink().LinkByName(Interface)
	if err != nil {
		t.Fatal(err)
	}
	if b, a := before.Attrs().HardwareAddr.String(), after.Attrs().HardwareAddr.String(); a != b {
		t.Errorf("hardware address %s became %s", b, a)
	}
	addrs, err := n.Addrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range addrs {
		if a.Is4() {
			t.Errorf("%v is still there", a)
		}
	}
}
