package migrate_test

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/mdlayher/arp"
	"github.com/mdlayher/ethernet"
	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// patience is how long a condition is waited for.
const patience = 20 * time.Second

// mixed runs keepalived on servers that were not moved yet, and vipd on the others.
type mixed struct {
	t    *testing.T
	dir  string
	old  cluster.Keepalived
	vipd string
	new  map[string]func(text string) string // what the operator changes in the translation
}

func (m *mixed) Prepare(s *cluster.Server) ([]string, error) {
	edit, moved := m.new[s.Name]
	if !moved {
		old := m.old
		old.Instance = []string{fmt.Sprintf("notify %q", m.script()+" "+s.Name)}
		return old.Prepare(s)
	}
	if err := os.RemoveAll(s.ConfigPath()); err != nil {
		return nil, err
	}
	said, err := s.Vipd("init", "--from-keepalived", filepath.Join(m.dir, s.Name, "keepalived.conf"), "--output", s.ConfigPath())
	if err != nil {
		return nil, err
	}
	m.t.Log(said)
	text, err := os.ReadFile(s.ConfigPath())
	if err != nil {
		return nil, err
	}
	// The probe of the lab looks elsewhere for its certificates.
	if err := os.WriteFile(s.ConfigPath(), []byte(edit(string(text))+"\n"+s.CheckConfig()), 0o644); err != nil {
		return nil, err
	}
	return []string{m.vipd, "run", "--config", s.ConfigPath(), "--runtime-dir", s.RuntimeDir()}, nil
}

// script is what both programs run at each change of state: it writes down what it is
// told.
func (m *mixed) script() string { return filepath.Join(m.dir, "tell.sh") }

func (m *mixed) writeScript() error {
	return os.WriteFile(m.script(), []byte("#!/bin/sh\necho \"$*\" >>"+m.told()+"\n"), 0o755)
}

func (m *mixed) told() string { return filepath.Join(m.dir, "told") }

// heard waits until the script was told this as often.
func (m *mixed) heard(line string, times int) {
	m.t.Helper()
	until(m.t, "the script to be told "+line, func() error {
		text, err := os.ReadFile(m.told())
		if err != nil {
			return err
		}
		if n := strings.Count(string(text), line+"\n"); n != times {
			return fmt.Errorf("%d times: %q", n, text)
		}
		return nil
	})
}

// raised gives the translation the highest priority.
func raised(text string) string {
	lines := strings.Split(text, "\n")
	for i, l := range lines {
		if strings.HasPrefix(l, "priority =") {
			lines[i] = "priority = 254"
		}
	}
	return strings.Join(lines, "\n")
}

func asItIs(text string) string { return text }

// The way of docs/migrate.md: a Backup first, with a priority above all others, so
// that it takes the VIP over before any holder stops.
func TestMoveFromKeepalived(t *testing.T) {
	l := lab.NewTest(t, "keepalived")
	dir := t.TempDir()
	bin, err := cluster.Build(t.TempDir())
	must(t, err)
	m := &mixed{t: t, dir: dir, vipd: bin.Vipd, new: make(map[string]func(string) string), old: cluster.Keepalived{
		Global: []string{"vrrp_version 3"}, Interval: time.Second,
	}}
	must(t, m.writeScript())
	c, err := cluster.New(l, cluster.Options{Binaries: bin, Dir: dir, Servers: 3, Agent: m, Log: t.Output()})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	for _, s := range c.Servers {
		must(t, s.StartAPI("ready"))
		must(t, s.StartAgent())
	}
	holds(t, c, "node1")
	const first = "node1 INSTANCE vip4_51 MASTER 250"
	m.heard(first, 1) // by keepalived
	client, err := c.Probe(t.Context(), cluster.VIP4, 10*time.Millisecond)
	must(t, err)
	await(t, client, "node1")

	m.new["node3"] = raised
	swap(t, c.Servers[2])
	await(t, client, "node3")
	holds(t, c, "node3")
	m.heard("node3 INSTANCE vip4_51 MASTER 254", 1)

	m.new["node2"], m.new["node1"] = asItIs, asItIs
	for _, s := range []*cluster.Server{c.Servers[1], c.Servers[0]} {
		swap(t, s)
		until(t, s.Name+" to be a Backup", func() error { return backup(s) })
		holds(t, c, "node3")
	}

	lower(t, c.Servers[2], "254", "240")
	await(t, client, "node1")
	holds(t, c, "node1")
	m.heard(first, 2) // and by vipd, in the same words
	m.heard("node3 INSTANCE vip4_51 BACKUP 240", 1)
	noOutage(t, client, 300*time.Millisecond)
}

// swap ends keepalived on a server and starts vipd in its place.
func swap(t *testing.T, s *cluster.Server) {
	t.Helper()
	must(t, s.SignalAgent(syscall.SIGTERM))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	_ = s.AwaitAgent(ctx) // keepalived's exit status tells nothing
	must(t, ctx.Err())
	must(t, s.StartAgent())
}

// lower gives the VIP back to the priorities that were meant.
func lower(t *testing.T, s *cluster.Server, from, to string) {
	t.Helper()
	text, err := os.ReadFile(s.ConfigPath())
	must(t, err)
	must(t, s.Reconfigure(strings.Replace(string(text), "priority = "+from, "priority = "+to, 1)))
	_, err = s.Vipd("reload")
	must(t, err)
}

// kube-vip itself needs a cluster. What it leaves on the network is an address on one
// server, without a lease, which it announces each three seconds until its pod ends.
// vipd takes such an address away when it starts, so it starts there last.
func TestMoveFromKubeVip(t *testing.T) {
	for holder, name := range []string{"from the server that vipd prefers", "from another"} {
		t.Run(name, func(t *testing.T) {
			l := lab.NewTest(t)
			bin, err := cluster.Build(t.TempDir())
			must(t, err)
			c, err := cluster.New(l, cluster.Options{Binaries: bin, Dir: t.TempDir(), Servers: 3, Log: t.Output(), Launcher: cluster.RealTime()})
			must(t, err)
			t.Cleanup(func() { must(t, c.Close()) })
			for _, s := range c.Servers {
				must(t, s.StartAPI("ready"))
			}
			old := c.Servers[holder]
			pod := startPod(t, old)
			client, err := c.Probe(t.Context(), cluster.VIP4, 10*time.Millisecond)
			must(t, err)
			await(t, client, old.Name)

			for _, s := range c.Servers {
				if s != old {
					must(t, s.StartAgent())
				}
			}
			settled(t, c)
			pod.insists() // both have the address for a while, and both answer
			pod.end()
			must(t, old.StartAgent())
			settled(t, c)
			await(t, client, "node1")
			holds(t, c, "node1")
			// At the worst the pod ends just after an announcement, to which vipd answers
			// after one and a half intervals.
			noOutage(t, client, 600*time.Millisecond)
		})
	}
}

func settled(t *testing.T, c *cluster.Cluster) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, c.Settled(ctx))
}

// kube-vip has no VRID: it is found as for a new address.
func TestKubeVipFindsVRID(t *testing.T) {
	l := lab.NewTest(t)
	bin, err := cluster.Build(t.TempDir())
	must(t, err)
	c, err := cluster.New(l, cluster.Options{Binaries: bin, Dir: t.TempDir(), Servers: 2, Log: t.Output(), Launcher: cluster.RealTime()})
	must(t, err)
	t.Cleanup(func() { must(t, c.Close()) })
	first := c.Servers[0]
	must(t, first.StartAPI("ready"))
	must(t, first.StartAgent())
	until(t, "an Active", func() error { _, err := c.Holder(t.Context()); return err })
	for addr, want := range map[string]string{
		cluster.VIP4.String(): "# 198.51.100.11 advertises the addresses with it: this server joins\nvrid = 51\n",
		"198.51.100.51":       "# nobody on eth0 was heard to use it (others heard: 1); all servers need the same\nvrid = 52\n",
	} {
		path := filepath.Join(t.TempDir(), "kube-vip.yaml")
		text := "image: kube-vip\nenv: [{name: vip_interface, value: eth0}, {name: address, value: " + addr + "}]\n"
		must(t, os.WriteFile(path, []byte(text), 0o600))
		out, err := c.Servers[1].Vipd("init", "--from-kube-vip", path, "--output", "-")
		must(t, err)
		if !strings.Contains(out, want) {
			t.Errorf("%s: %q", addr, out)
		}
	}
}

// pod does to the network what kube-vip's leader does.
type pod struct {
	t      *testing.T
	server *cluster.Server
	stop   context.CancelFunc
	done   sync.WaitGroup
	times  atomic.Int32 // that it announced the address
}

func startPod(t *testing.T, s *cluster.Server) *pod {
	t.Helper()
	must(t, s.Node.AddAddr(netip.PrefixFrom(cluster.VIP4, 32)))
	ctx, cancel := context.WithCancel(t.Context())
	p := &pod{t: t, server: s, stop: cancel}
	conn, mac := p.open()
	p.done.Go(func() {
		defer conn.Close()
		tick := time.NewTicker(3 * time.Second)
		defer tick.Stop()
		for {
			if err := announce(conn, mac); err != nil {
				t.Error(err)
				return
			}
			p.times.Add(1)
			select {
			case <-tick.C:
			case <-ctx.Done():
				return
			}
		}
	})
	t.Cleanup(func() { cancel(); p.done.Wait() })
	return p
}

// insists waits until it has announced the address twice more.
func (p *pod) insists() {
	p.t.Helper()
	before := p.times.Load()
	until(p.t, "kube-vip to announce", func() error {
		if n := p.times.Load(); n < before+2 {
			return fmt.Errorf("%d times", n-before)
		}
		return nil
	})
}

func (p *pod) open() (conn *packet.Conn, mac net.HardwareAddr) {
	p.t.Helper()
	must(p.t, p.server.Node.Do(func() error {
		ifi, err := net.InterfaceByName(lab.Interface)
		if err != nil {
			return err
		}
		mac = ifi.HardwareAddr
		conn, err = packet.Listen(ifi, packet.Raw, unix.ETH_P_ARP, nil)
		return err
	}))
	return conn, mac
}

func announce(conn *packet.Conn, mac net.HardwareAddr) error {
	p, err := arp.NewPacket(arp.OperationRequest, mac, cluster.VIP4, make(net.HardwareAddr, len(mac)), cluster.VIP4)
	if err != nil {
		return err
	}
	body, err := p.MarshalBinary()
	if err != nil {
		return err
	}
	f := ethernet.Frame{Destination: ethernet.Broadcast, Source: mac, EtherType: ethernet.EtherTypeARP, Payload: body}
	b, err := f.MarshalBinary()
	if err != nil {
		return err
	}
	_, err = conn.WriteTo(b, &packet.Addr{HardwareAddr: ethernet.Broadcast})
	return err
}

// end takes the address away, as kube-vip does when its pod is deleted.
func (p *pod) end() {
	p.t.Helper()
	p.stop()
	p.done.Wait()
	link, err := p.server.Node.Netlink().LinkByName(lab.Interface)
	must(p.t, err)
	must(p.t, p.server.Node.Netlink().AddrDel(link, &netlink.Addr{IPNet: &net.IPNet{IP: cluster.VIP4.AsSlice(), Mask: net.CIDRMask(32, 32)}}))
}

// noOutage wants the client never to have been without an answer for longer than most.
func noOutage(t *testing.T, client *probe.Process, most time.Duration) {
	t.Helper()
	r, err := client.Stop()
	must(t, err)
	t.Logf("%d attempts, outcomes %v, longest gap %v (%s to %s), noise %v, changes %+v",
		r.Attempts, r.Outcomes, r.LongestGap.Length(), r.LongestGap.Before, r.LongestGap.After, r.Noise, r.Changes)
	if gap := r.LongestGap.Length(); gap > max(most, 3*r.Noise) {
		t.Errorf("no answer for %v", gap)
	}
}

// holds waits until the named server alone has the VIP.
func holds(t *testing.T, c *cluster.Cluster, name string) {
	t.Helper()
	until(t, name+" alone to have the VIP", func() error {
		for _, s := range c.Servers {
			addrs, err := s.Node.Addrs()
			if err != nil {
				return err
			}
			if has := slices.Contains(addrs, cluster.VIP4); has != (s.Name == name) {
				return fmt.Errorf("%s: %v", s.Name, has)
			}
		}
		return nil
	})
}

func backup(s *cluster.Server) error {
	st, err := s.Status(context.Background())
	if err != nil {
		return err
	}
	if len(st.Routers) != 1 || st.Routers[0].State != "Backup" || st.Routers[0].Active == nil {
		return fmt.Errorf("%+v", st.Routers)
	}
	return nil
}

func await(t *testing.T, client *probe.Process, node string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, client.Await(ctx, node))
}

func until(t *testing.T, what string, check func() error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, cluster.Until(ctx, what, check))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
