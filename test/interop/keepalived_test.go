package interop

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/test/lab"
)

// keepalived is a station that runs keepalived.
type keepalived struct {
	segment *segment
	dir     string
	config  keepalivedConfig
	process *process
}

var _ station = (*keepalived)(nil)

// keepalivedConfig is what differs between the tests.
type keepalivedConfig struct {
	Version  int // 0: 3
	Priority int
	Interval time.Duration // 0: that of the others
	Peers    []netip.Addr  // none: multicast
	Source   netip.Addr    // the zero value: its choice
	More     []netip.Addr  // virtual addresses beside the one of the segment
	Advises  bool          // advertises once more before it yields (higher_prio_send_advert)
}

func newKeepalived(s *segment, c keepalivedConfig) *keepalived {
	if c.Version == 0 {
		c.Version = 3
	}
	if c.Interval == 0 {
		c.Interval = interval
	}
	return &keepalived{segment: s, dir: filepath.Join(s.t.TempDir(), "keepalived"), config: c}
}

func (k *keepalived) String() string { return "keepalived" }

func (k *keepalived) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "global_defs {\n\tvrrp_version %d\n}\n", k.config.Version)
	fmt.Fprintf(&b, "vrrp_instance k3s {\n\tstate BACKUP\n\tinterface %s\n\tvirtual_router_id %d\n\tpriority %d\n\tadvert_int %v\n",
		lab.Interface, vrid, k.config.Priority, k.config.Interval.Seconds())
	if k.config.Advises {
		b.WriteString("\thigher_prio_send_advert true\n")
	}
	if k.config.Source.IsValid() {
		fmt.Fprintf(&b, "\tunicast_src_ip %s\n", k.config.Source)
	}
	block(&b, "unicast_peer", k.config.Peers)
	block(&b, "virtual_ipaddress", append([]netip.Addr{k.segment.vip()}, k.config.More...))
	b.WriteString("}\n")
	return b.String()
}

func block(b *strings.Builder, name string, addrs []netip.Addr) {
	if len(addrs) == 0 {
		return
	}
	fmt.Fprintf(b, "\t%s {\n", name)
	for _, a := range addrs {
		fmt.Fprintf(b, "\t\t%s\n", a)
	}
	b.WriteString("\t}\n")
}

func (k *keepalived) start() {
	k.segment.t.Helper()
	conf := filepath.Join(k.dir, "keepalived.conf")
	k.segment.must(os.RemoveAll(k.dir)) // as /run is empty after a loss of power: it trusts old pid files
	k.segment.must(os.Mkdir(k.dir, 0o755))
	k.segment.must(os.WriteFile(conf, []byte(k.text()), 0o644))
	// It sends from the link-local address without a look whether that is usable.
	k.segment.source(k.segment.peer)
	k.process = launch(k.segment.t, k.segment.peer, "keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", conf,
		"--pid", filepath.Join(k.dir, "pid"), "--vrrp_pid", filepath.Join(k.dir, "vrrp.pid"))
	k.segment.must(k.segment.cluster.Lab.Plug(k.segment.peer))
}

func (k *keepalived) stop() {
	k.segment.t.Helper()
	k.process.stop()
}

func (k *keepalived) die() {
	k.segment.t.Helper()
	k.segment.must(k.segment.cluster.Lab.Unplug(k.segment.peer))
	k.process.kill()
}

func (k *keepalived) mac() string { return k.segment.macOf(k.segment.peer, lab.Interface) }

func (k *keepalived) persuades() bool { return true }

// active goes by the address: keepalived has it while it is Active.
func (k *keepalived) active() (bool, error) {
	addrs, err := k.segment.peer.Addrs()
	return slices.Contains(addrs, k.segment.vip()), err
}
