package doctor_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/doctor"
	"github.com/vipd/vipd/test/lab"
)

// TestLinksDuringRenewals lists the interfaces beside what an agent with 255 VIPs does: it
// renews the lease of each again and again, and the kernel says that its list has changed.
func TestLinksDuringRenewals(t *testing.T) {
	node, err := lab.NewTest(t, "ip").Add("node1")
	if err != nil {
		t.Fatal(err)
	}
	link, err := node.Netlink().LinkByName(lab.Interface)
	if err != nil {
		t.Fatal(err)
	}
	renew := func() (err error) {
		for i := range 255 {
			vip := netip.MustParseAddr(fmt.Sprintf("2001:db8:1::%x", i+1))
			a := netlink.Addr{IPNet: netlink.NewIPNet(vip.AsSlice()), Flags: unix.IFA_F_NODAD, ValidLft: 10, PreferedLft: 10}
			err = errors.Join(err, node.Netlink().AddrReplace(link, &a))
		}
		return err
	}
	if err := renew(); err != nil {
		t.Fatal(err)
	}
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(30 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				if err := renew(); err != nil {
					stopped <- err
					return
				}
			case <-stop:
				stopped <- nil
				return
			}
		}
	}()
	for range 100 {
		err := node.Do(func() error {
			_, err := doctor.Here(t.TempDir()).Network.Links()
			return err
		})
		if err != nil {
			t.Error(err)
			break
		}
	}
	close(stop)
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
