package interop

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

// frrDir is where the distribution has FRR's daemons.
const frrDir = "/usr/lib/frr"

var frrTools = []string{frrDir + "/vrrpd", frrDir + "/zebra", "vtysh"}

// frr is a station that runs FRR's vrrpd, and zebra, which it needs.
type frr struct {
	segment  *segment
	dir      string
	priority int
	more     []string // lines of the interface's configuration
	zebra    *process
	vrrpd    *process
}

var _ station = (*frr)(nil)

// newFRR makes the interface that FRR expects to find: a macvlan with the
// virtual MAC, which has the virtual address all the time.
func newFRR(s *segment, priority int, more ...string) *frr {
	s.t.Helper()
	f := &frr{segment: s, priority: priority, more: more}
	var err error
	f.dir, err = os.MkdirTemp("", "vipd-frr-") // FRR refuses longer socket paths, and runs as another user
	s.must(err)
	s.t.Cleanup(func() {
		if err := os.RemoveAll(f.dir); err != nil {
			s.t.Error(err)
		}
	})
	s.must(os.Chmod(f.dir, 0o777))
	mac, bits := virtualMAC4, 24
	if s.family == vrrp.IPv6 {
		mac, bits = virtualMAC6, 64
	}
	for _, cmd := range []string{
		// The address is there while FRR is a Backup too: without these the
		// parent would answer for it and tell hosts its own MAC.
		"sysctl -qw net.ipv4.conf.eth0.arp_ignore=1 net.ipv4.conf.eth0.arp_announce=2",
		"ip link add " + f.iface() + " link " + lab.Interface + " type macvlan mode bridge",
		"ip link set " + f.iface() + " address " + mac,
		"ip link set " + f.iface() + " addrgenmode random",
		// Detection of duplicates would cost FRR its first advertisements.
		"sysctl -qw net.ipv6.conf." + f.iface() + ".accept_dad=0",
		fmt.Sprintf("ip addr add %s/%d dev %s", s.vip(), bits, f.iface()),
	} {
		args := strings.Fields(cmd)
		_, err := s.peer.Run(args[0], args[1:]...)
		s.must(err)
	}
	return f
}

func (f *frr) String() string { return "FRR" }

func (f *frr) iface() string { return "vrrp" + f.version() }

// version is what FRR calls the family.
func (f *frr) version() string {
	if f.segment.family == vrrp.IPv6 {
		return "6"
	}
	return "4"
}

func (f *frr) text() string {
	kind := "ip"
	if f.segment.family == vrrp.IPv6 {
		kind = "ipv6"
	}
	lines := append([]string{
		"version 3",
		fmt.Sprintf("priority %d", f.priority),
		fmt.Sprintf("advertisement-interval %d", interval.Milliseconds()),
	}, f.more...)
	lines = append(lines, fmt.Sprintf("%s %s", kind, f.segment.vip()))
	text := "interface " + lab.Interface + "\n"
	for _, l := range lines {
		if rest, no := strings.CutPrefix(l, "no "); no {
			text += fmt.Sprintf(" no vrrp %d %s\n", vrid, rest)
			continue
		}
		text += fmt.Sprintf(" vrrp %d %s\n", vrid, l)
	}
	return text
}

func (f *frr) start() {
	f.segment.t.Helper()
	conf, empty, zserv := filepath.Join(f.dir, "vrrpd.conf"), filepath.Join(f.dir, "zebra.conf"), filepath.Join(f.dir, "zserv")
	f.segment.must(os.WriteFile(conf, []byte(f.text()), 0o644))
	f.segment.must(os.WriteFile(empty, nil, 0o644))
	f.segment.source(f.segment.peer)
	_, err := f.segment.peer.Run("ip", "link", "set", f.iface(), "up")
	f.segment.must(err)
	f.zebra = f.daemon("zebra", empty, zserv)
	f.segment.until("zebra", func() error {
		_, err := os.Stat(zserv)
		return err
	})
	f.vrrpd = f.daemon("vrrpd", conf, zserv)
	f.segment.must(f.segment.cluster.Lab.Plug(f.segment.peer))
}

func (f *frr) daemon(name, conf, zserv string) *process {
	return launch(f.segment.t, f.segment.peer, filepath.Join(frrDir, name), "--config_file", conf, "--socket", zserv,
		"--pid_file", filepath.Join(f.dir, name+".pid"), "--vty_socket", f.dir, "--vty_port", "0", "--log", "stdout", "--log-level", "warn")
}

func (f *frr) stop() {
	f.segment.t.Helper()
	f.vrrpd.stop()
	f.end()
}

func (f *frr) die() {
	f.segment.t.Helper()
	f.segment.must(f.segment.cluster.Lab.Unplug(f.segment.peer))
	f.vrrpd.kill()
	f.end()
}

// end ends zebra and takes the addresses out of use, as they are on a host
// without FRR.
func (f *frr) end() {
	f.segment.t.Helper()
	f.zebra.kill()
	f.segment.must(os.Remove(filepath.Join(f.dir, "zserv")))
	_, err := f.segment.peer.Run("ip", "link", "set", f.iface(), "down")
	f.segment.must(err)
}

func (f *frr) mac() string { return f.segment.macOf(f.segment.peer, f.iface()) }

// persuades is false: FRR announces once, for it takes it that all routers have
// the virtual MAC, and hosts ignore what comes soon after another change.
func (f *frr) persuades() bool { return false }

// active asks vrrpd.
func (f *frr) active() (bool, error) {
	out, err := exec.Command("vtysh", "--vty_socket", f.dir, "-d", "vrrpd", "-c", "show vrrp json").Output()
	if err != nil {
		return false, fmt.Errorf("ask vrrpd: %w", err)
	}
	type instance struct{ Status string }
	var routers []struct{ V4, V6 instance }
	if err := json.Unmarshal(out, &routers); err != nil {
		return false, fmt.Errorf("read vrrpd's answer %q: %w", out, err)
	}
	if len(routers) != 1 {
		return false, fmt.Errorf("vrrpd has %d virtual routers", len(routers))
	}
	status := routers[0].V4.Status
	if f.segment.family == vrrp.IPv6 {
		status = routers[0].V6.Status
	}
	if status != "Master" && status != "Backup" {
		return false, fmt.Errorf("vrrpd is in %q", status)
	}
	return status == "Master", nil
}
