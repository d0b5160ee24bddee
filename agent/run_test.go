package agent

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/mdlayher/packet"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/systemd"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

// These tests run whole agents in this process, in the network namespace that
// test/contain gave it.

const (
	testInterface = "vipd0"
	farEnd        = "vipd1"
)

const oneVIP = `
[[check]]
type = "none"
[[vip]]
name = "k3s"
addresses = ["198.51.100.100"]
interface = "vipd0"
vrid = 51
advert_interval = "50ms"
`

// plug makes a pair of interfaces, with the node's own address on the near one.
func plug(t *testing.T) {
	t.Helper()
	near := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: testInterface}, PeerName: farEnd}
	must(t, netlink.LinkAdd(near))
	far, err := netlink.LinkByName(farEnd)
	must(t, err)
	must(t, netlink.LinkSetARPOff(far)) // in the same namespace, it would answer for the near one's addresses
	must(t, netlink.LinkSetUp(far))
	must(t, netlink.LinkSetUp(near))
	put(t, "198.51.100.1/24")
}

func unplug(t *testing.T) {
	t.Helper()
	link, err := netlink.LinkByName(testInterface)
	must(t, err)
	must(t, netlink.LinkDel(link))
}

// wired is for tests that begin with the interfaces there.
func wired(t *testing.T) {
	t.Helper()
	lab.Require(t)
	plug(t)
	t.Cleanup(func() {
		if _, err := netlink.LinkByName(testInterface); err == nil {
			unplug(t)
		}
	})
}

func put(t *testing.T, address string) {
	t.Helper()
	link, err := netlink.LinkByName(testInterface)
	must(t, err)
	addr, err := netlink.ParseAddr(address)
	must(t, err)
	must(t, netlink.AddrAdd(link, addr))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// assigned reports whether an address is on the interface.
func assigned(address string) bool {
	link, err := netlink.LinkByName(testInterface)
	if err != nil {
		return false
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	return err == nil && slices.ContainsFunc(list, func(a netlink.Addr) bool { return a.IP.String() == address })
}

func within(t *testing.T, limit time.Duration, what string, ok func() bool) {
	t.Helper()
	for began := time.Now(); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Since(began) > limit {
			t.Fatalf("not within %v: %s", limit, what)
		}
	}
}

// instance is an agent that runs.
type instance struct {
	*control.Client
	t      *testing.T
	opts   Options
	cancel context.CancelFunc
	ended  chan struct{}
	err    error
}

// start runs an agent with a configuration and a runtime directory of its own.
func start(t *testing.T, text string) *instance {
	t.Helper()
	dir := t.TempDir()
	n := &instance{t: t, opts: Options{
		ConfigPath: filepath.Join(dir, "vipd.toml"), RuntimeDir: filepath.Join(dir, "run"), Version: "test",
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Notifier: systemd.NewNotifier(),
		Synchronised: func(context.Context) error { return nil },
	}}
	n.configure(text)
	n.run()
	return n
}

func (n *instance) configure(text string) {
	n.t.Helper()
	must(n.t, os.WriteFile(n.opts.ConfigPath, []byte(text), 0o600))
}

func (n *instance) run() {
	n.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	n.cancel, n.ended = cancel, ended
	n.Client = control.NewClient(control.Socket(n.opts.RuntimeDir))
	go func() {
		defer close(ended)
		n.err = Run(ctx, n.opts)
	}()
	n.t.Cleanup(func() { cancel(); <-ended })
	within(n.t, 3*time.Second, "the agent answers", func() bool {
		_, err := n.Status(context.Background())
		return err == nil
	})
}

// stop ends the agent as SIGTERM does.
func (n *instance) stop() {
	n.t.Helper()
	n.cancel()
	select {
	case <-n.ended:
	case <-time.After(5 * time.Second):
		n.t.Fatal("the agent does not end")
	}
	if n.err != nil {
		n.t.Errorf("Run: %v", n.err)
	}
}

func (n *instance) status() control.Status {
	n.t.Helper()
	s, err := n.Status(n.t.Context())
	must(n.t, err)
	return s
}

// router returns the state of one virtual router.
func (n *instance) routerOf(vip string) control.Router {
	n.t.Helper()
	for _, r := range n.status().Routers {
		if r.VIP == vip {
			return r
		}
	}
	return control.Router{}
}

func (n *instance) active(vip, address string) {
	n.t.Helper()
	within(n.t, 5*time.Second, vip+" is Active here and holds "+address, func() bool {
		r := n.routerOf(vip)
		return r.State == "Active" && r.Holding && assigned(address)
	})
}

func (n *instance) reload(text string) {
	n.t.Helper()
	n.configure(text)
	if _, err := n.Reload(n.t.Context()); err != nil {
		n.t.Error(err)
	}
}

// A life: claim, drain, resume, end; and nothing of it is left.
func TestRun(t *testing.T) {
	wired(t)
	before := goroutines()
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")

	r := n.routerOf("k3s")
	if r.Cause != "no other router was heard" || r.Interface != testInterface || r.Source != "198.51.100.1" || r.Priority != 200 {
		t.Errorf("status: %+v", r)
	}
	res, err := n.Drain(t.Context(), control.DrainOptions{})
	must(t, err)
	if !strings.HasPrefix(res.Message, "drained") {
		t.Errorf("drain: %+v", res)
	}
	within(t, time.Second, "drained, it ranks as down", func() bool { return n.routerOf("k3s").Priority == 1 })
	if s := n.status(); !s.Drained || !s.Routers[0].Holding {
		t.Errorf("drained, without another node: %+v", s)
	}
	_, err = n.Resume(t.Context(), control.ResumeOptions{})
	must(t, err)
	within(t, time.Second, "resumed, it has its priority back", func() bool { return n.routerOf("k3s").Priority == 200 })

	n.stop()
	if assigned("198.51.100.100") {
		t.Error("the address is still there")
	}
	if _, err := os.Stat(control.Socket(n.opts.RuntimeDir)); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the socket: %v", err)
	}
	within(t, time.Second, "no goroutine is left: "+left(before), func() bool { return left(before) == "" })
	if s, err := loadState(n.opts.RuntimeDir); err != nil || s.HasBeenReady || len(s.Routers) != 0 {
		t.Errorf("C65 the state that a stop leaves: %+v, %v", s, err)
	}
}

// goroutines returns how many goroutines run each function of this module.
func goroutines() map[string]int {
	buf := make([]byte, 1<<20)
	count := make(map[string]int)
	for _, g := range strings.Split(string(buf[:runtime.Stack(buf, true)]), "\n\n") {
		lines := strings.Split(strings.TrimSpace(g), "\n")
		if at := lines[len(lines)-1]; strings.Contains(g, "vipd/vipd/") {
			count[strings.TrimSpace(at)]++
		}
	}
	return count
}

// left names what runs now and did not before.
func left(before map[string]int) string {
	var out []string
	for at, n := range goroutines() {
		if n > before[at] {
			out = append(out, fmt.Sprintf("%d at %s", n-before[at], at))
		}
	}
	return strings.Join(out, ", ")
}

// A stop forgets that the node was ready, whatever else is being saved then.
func TestC65StopForgets(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	for range 5 {
		n.active("k3s", "198.51.100.100")
		n.stop()
		if s, err := loadState(n.opts.RuntimeDir); err != nil || s.HasBeenReady || len(s.Routers) != 0 {
			t.Fatalf("%+v, %v", s, err)
		}
		n.run()
	}
}

func TestDrainSurvivesRestart(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	res, err := n.Drain(t.Context(), control.DrainOptions{Wait: true})
	must(t, err)
	if res.Moved || !strings.Contains(res.Message, "no better node") {
		t.Errorf("drain alone: %+v", res)
	}
	n.stop()
	n.run()
	if !n.status().Drained {
		t.Error("not drained any more")
	}
}

func TestReload(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	since := n.routerOf("k3s").Since

	n.reload(oneVIP + "priority = 150\n")
	if r := n.routerOf("k3s"); r.Priority != 150 || r.State != "Active" || !r.Since.Equal(since) {
		t.Errorf("after a change of priority: %+v", r)
	}

	second := "\n[[vip]]\nname = \"second\"\naddresses = [\"198.51.100.101\"]\ninterface = \"vipd0\"\nvrid = 52\nadvert_interval = \"50ms\"\n"
	n.reload(oneVIP + second)
	n.active("second", "198.51.100.101")
	if !n.routerOf("k3s").Since.Equal(since) {
		t.Error("adding a VIP moved another")
	}

	if _, err := func() (control.Result, error) {
		n.configure(oneVIP + "vrid = 53\n")
		return n.Reload(t.Context())
	}(); err == nil || !strings.Contains(err.Error(), "nothing was changed") {
		t.Errorf("a bad file: %v", err)
	}
	if len(n.status().Routers) != 2 {
		t.Error("a bad file changed something")
	}

	n.reload(oneVIP)
	if assigned("198.51.100.101") || len(n.status().Routers) != 1 {
		t.Error("the removed VIP is still there")
	}
	if !n.routerOf("k3s").Since.Equal(since) {
		t.Error("removing a VIP moved another")
	}

	n.reload(strings.Replace(oneVIP, "198.51.100.100", "198.51.100.102", 1))
	n.active("k3s", "198.51.100.102")
	if assigned("198.51.100.100") {
		t.Error("the former address is still there")
	}
}

// Status, reloads of changing files and drains at the same time.
func TestReloadConcurrent(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	texts := []string{
		oneVIP, oneVIP + "priority = 150\n",
		strings.Replace(oneVIP, `vrid = 51`, `vrid = 61`, 1),
		strings.Replace(oneVIP, `"none"`, "\"tcp\"\naddress = \"127.0.0.1:1\"", 1),
	}
	var wg sync.WaitGroup
	for worker := range 2 {
		wg.Go(func() {
			for i := range 4 {
				// Replaced as a whole: nobody reads half a file.
				tmp := fmt.Sprintf("%s.%d", n.opts.ConfigPath, worker)
				if err := os.WriteFile(tmp, []byte(texts[(i+2*worker)%len(texts)]), 0o600); err != nil {
					t.Error(err)
				}
				if err := os.Rename(tmp, n.opts.ConfigPath); err != nil {
					t.Error(err)
				}
				if _, err := n.Reload(t.Context()); err != nil {
					t.Error(err)
				}
			}
		})
	}
	stop := make(chan struct{})
	var others sync.WaitGroup
	others.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(time.Millisecond):
			}
			if _, err := n.Status(t.Context()); err != nil {
				t.Error(err)
			}
			if i%50 == 0 {
				n.Drain(t.Context(), control.DrainOptions{})
				n.Resume(t.Context(), control.ResumeOptions{})
			}
		}
	})
	wg.Wait()
	close(stop)
	others.Wait()
	n.reload(oneVIP)
	n.active("k3s", "198.51.100.100")
}

// A stop in the middle of a reload ends both, and leaves no address.
func TestStopDuringReload(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	n.configure(strings.Replace(oneVIP, "198.51.100.100", "198.51.100.102", 1))
	reloaded := make(chan struct{})
	go func() { defer close(reloaded); n.Reload(context.Background()) }()
	within(t, time.Second, "the reload has begun", func() bool { return len(n.status().Routers) == 0 })
	n.stop()
	<-reloaded
	for _, a := range []string{"198.51.100.100", "198.51.100.102"} {
		if assigned(a) {
			t.Errorf("%s is still there", a)
		}
	}
}

// An address that a dead agent left goes when a new one starts and may not have it.
func TestC35Leftover(t *testing.T) {
	wired(t)
	put(t, "198.51.100.100/32")
	n := start(t, strings.Replace(oneVIP, `"none"`, "\"tcp\"\naddress = \"127.0.0.1:1\"", 1))
	if assigned("198.51.100.100") {
		t.Error("the address is still there")
	}
	within(t, time.Second, "Backup", func() bool { return n.routerOf("k3s").State == "Backup" })
}

func TestLateInterface(t *testing.T) {
	lab.Require(t)
	n := start(t, oneVIP)
	r := n.routerOf("k3s")
	if r.State != "Initialize" || len(r.Problems) == 0 || !strings.Contains(r.Problems[0], "waiting for interface vipd0, which does not exist") {
		t.Errorf("without the interface: %s, %q", r.State, r.Problems)
	}
	plug(t)
	t.Cleanup(func() { unplug(t) })
	n.active("k3s", "198.51.100.100")
}

// Without an interface in the file, the one whose subnet holds the address is taken
// once there is one. A reload meanwhile does no harm.
func TestLateSubnet(t *testing.T) {
	lab.Require(t)
	text := strings.Replace(oneVIP, "interface = \"vipd0\"\n", "", 1)
	n := start(t, text)
	if r := n.routerOf("k3s"); len(r.Problems) == 0 || !strings.Contains(r.Problems[0], "no interface has a subnet that holds 198.51.100.100") {
		t.Errorf("without an interface: %q", r.Problems)
	}
	plug(t)
	t.Cleanup(func() { unplug(t) })
	for i := range 100 {
		n.reload(text + fmt.Sprintf("priority = %d\n", 150+i%2))
		if n.routerOf("k3s").Interface == testInterface {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	n.active("k3s", "198.51.100.100")
}

func TestC40InterfaceReplaced(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	unplug(t)
	within(t, 2*time.Second, "Initialize without the interface", func() bool { return n.routerOf("k3s").State == "Initialize" })
	plug(t)
	n.active("k3s", "198.51.100.100")
	if p := n.routerOf("k3s").Problems; len(p) != 0 {
		t.Errorf("problems: %q", p)
	}
}

// Packet sockets are few, however many VIPs there are: the kernel takes milliseconds to
// close each when a process ends, and a restart has but three intervals.
func TestFewPacketSockets(t *testing.T) {
	wired(t)
	text := oneVIP
	for i := 1; i < 8; i++ {
		text += fmt.Sprintf("[[vip]]\nname = \"k3s%d\"\naddresses = [\"198.51.100.%d\"]\ninterface = \"vipd0\"\nvrid = %d\nadvert_interval = \"50ms\"\n", i, 100+i, 51+i)
	}
	n := start(t, text)
	n.active("k3s7", "198.51.100.107")
	// An ear and an announcer, also while each claim asks for conflicts.
	for began := time.Now(); time.Since(began) < conflictDelay+conflictTime; time.Sleep(20 * time.Millisecond) {
		table, err := os.ReadFile("/proc/thread-self/net/packet")
		must(t, err)
		if sockets := strings.Count(string(table), "\n") - 1; sockets != 2 {
			t.Fatalf("%d packet sockets, want 2", sockets)
		}
	}
}

func TestC34AddressDeleted(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	link, err := netlink.LinkByName(testInterface)
	must(t, err)
	addr, err := netlink.ParseAddr("198.51.100.100/32")
	must(t, err)
	must(t, netlink.AddrDel(link, addr))
	within(t, 200*time.Millisecond, "the address is back", func() bool { return assigned("198.51.100.100") })
	if r := n.routerOf("k3s"); r.State != "Active" {
		t.Errorf("%s, want Active", r.State)
	}
}

// An interface that gets another MAC, as a bond or a bridge does, keeps the
// addresses, and the network is told at once.
func TestMACChanged(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	since := n.routerOf("k3s").Since
	far, err := net.InterfaceByName(farEnd)
	must(t, err)
	c, err := packet.Listen(far, packet.Raw, unix.ETH_P_ARP, nil)
	must(t, err)
	defer c.Close()
	link, err := netlink.LinkByName(testInterface)
	must(t, err)
	mac := net.HardwareAddr{2, 0, 0, 0, 0, 9}
	must(t, netlink.LinkSetHardwareAddr(link, mac))
	must(t, c.SetReadDeadline(time.Now().Add(2*time.Second)))
	for frame := make([]byte, 64); ; {
		size, _, err := c.ReadFrom(frame)
		must(t, err)
		// The sender of the ARP packet, behind 14 bytes of Ethernet and 8 of ARP.
		if size >= 32 && bytes.Equal(frame[22:28], mac) && net.IP(frame[28:32]).String() == "198.51.100.100" {
			break
		}
	}
	if r := n.routerOf("k3s"); r.State != "Active" || !r.Since.Equal(since) || !assigned("198.51.100.100") {
		t.Errorf("%+v", r)
	}
}

// That the interface cannot be looked at says nothing about it: what runs goes on.
func TestInterfaceUnseen(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	since := n.routerOf("k3s").Since
	link, err := netlink.LinkByName(testInterface)
	must(t, err)
	h, err := netlink.NewHandle()
	must(t, err)
	defer h.Close()
	var limit unix.Rlimit
	must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &limit))
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: 3, Max: limit.Max}))
	err = h.LinkSetMTU(link, 1400)     // has the agent look, which now fails: it can open no socket
	time.Sleep(200 * time.Millisecond) // it must not act on that; this is what is tested
	must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &limit))
	must(t, err)
	if r := n.routerOf("k3s"); r.State != "Active" || !r.Since.Equal(since) || !assigned("198.51.100.100") {
		t.Errorf("%+v", r)
	}
	within(t, 3*time.Second, "no problem any more", func() bool { return len(n.routerOf("k3s").Problems) == 0 })
}

// An MTU that is too small for IPv6 takes the multicast membership with it.
func TestC57MTU(t *testing.T) {
	wired(t)
	put(t, "2001:db8::1/64")
	n := start(t, strings.Replace(oneVIP, "198.51.100.100", "2001:db8::100", 1))
	n.active("k3s", "2001:db8::100")
	link, err := netlink.LinkByName(testInterface)
	must(t, err)
	must(t, netlink.LinkSetMTU(link, 1200))
	within(t, 2*time.Second, "Initialize without IPv6", func() bool { return n.routerOf("k3s").State == "Initialize" })
	must(t, netlink.LinkSetMTU(link, 1500))
	put(t, "2001:db8::1/64") // the kernel forgets it
	n.active("k3s", "2001:db8::100")
	within(t, time.Second, "a member of ff02::12 again", func() bool {
		text, err := os.ReadFile("/proc/net/igmp6")
		must(t, err)
		for line := range strings.Lines(string(text)) {
			if f := strings.Fields(line); f[1] == testInterface && f[2] == "ff020000000000000000000000000012" {
				return true
			}
		}
		return false
	})
}

// A restart leaves the address where it is: it is never missing.
func TestC70RestartResumes(t *testing.T) {
	wired(t)
	n := start(t, strings.Replace(oneVIP, "50ms", "250ms", 1))
	n.active("k3s", "198.51.100.100")
	n.opts.Restarting = func() bool { return true }
	n.stop() // by the options that it was started with: a hand-over
	n.run()
	n.active("k3s", "198.51.100.100")
	n.stop()
	if !assigned("198.51.100.100") {
		t.Fatal("the address went with the agent")
	}
	did, err := Release(t.Context(), n.opts.ConfigPath, n.opts.RuntimeDir) // as ExecStopPost
	if err != nil || len(did) != 1 || !strings.Contains(did[0], "the addresses stay") {
		t.Errorf("Release: %q, %v", did, err)
	}
	n.run()
	if !assigned("198.51.100.100") {
		t.Error("the address went when the successor started")
	}
	n.active("k3s", "198.51.100.100")
	if r := n.routerOf("k3s"); r.Cause != "the agent was restarted and goes on" {
		t.Errorf("cause: %s", r.Cause)
	}
	within(t, 3*time.Second, "the lease is renewed", func() bool { return time.Since(n.status().Started) > 2500*time.Millisecond })
	if !assigned("198.51.100.100") {
		t.Error("the address was not renewed")
	}
}

// Where the state cannot be saved, as on a full disk, a restart hands over: the next agent
// would take the addresses off before anybody else has them.
func TestRestartWithoutState(t *testing.T) {
	wired(t)
	n := start(t, strings.Replace(oneVIP, "50ms", "250ms", 1))
	n.stop()
	n.opts.Restarting = func() bool { return true }
	n.run()
	n.active("k3s", "198.51.100.100")
	within(t, time.Second, "the state cannot be written", func() bool {
		return os.Mkdir(statePath(n.opts.RuntimeDir)+".new", 0o700) == nil // or it is just being written
	})
	n.stop()
	if assigned("198.51.100.100") {
		t.Error("the address is still there")
	}
}

// A router that hands over because its macvlan ends with the agent does not keep
// the others waiting: their peers would miss them.
func TestC70RestartBesideVirtualMAC(t *testing.T) {
	wired(t)
	second := "\n[[vip]]\nname = \"second\"\naddresses = [\"198.51.100.101\"]\ninterface = \"vipd0\"\nvrid = 52\nvirtual_mac = true\nadvert_interval = \"250ms\"\n"
	n := start(t, strings.Replace(oneVIP, "50ms", "250ms", 1)+second)
	n.active("k3s", "198.51.100.100")
	within(t, 2*time.Second, "second is Active", func() bool { return n.routerOf("second").State == "Active" })
	n.stop()
	n.opts.Restarting = func() bool { return true }
	n.run()
	n.active("k3s", "198.51.100.100")
	within(t, 2*time.Second, "second is Active", func() bool { return n.routerOf("second").State == "Active" })
	n.stop()
	n.run()
	n.active("k3s", "198.51.100.100")
	if r := n.routerOf("k3s"); r.Cause != "the agent was restarted and goes on" {
		t.Errorf("cause: %s", r.Cause)
	}
}

// A file that the next agent would refuse makes a restart a stop: nobody would
// go on with what was left.
func TestRestartIntoBadFile(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.stop()
	n.opts.Restarting = func() bool { return true }
	n.run()
	n.active("k3s", "198.51.100.100")
	n.configure(oneVIP + "vrid = 53\n")
	n.stop()
	if assigned("198.51.100.100") {
		t.Error("the address is left to nobody")
	}
	if s, err := loadState(n.opts.RuntimeDir); err != nil || s.Restarting || len(s.Routers) != 0 {
		t.Errorf("state: %+v, %v", s, err)
	}
}

// probed is oneVIP with a probe of what listens on the returned listener, which
// takes a second to settle.
func probed(t *testing.T) (string, net.Listener) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	t.Cleanup(func() { l.Close() })
	check := "type = \"tcp\"\ninterval = \"1s\"\nfall = 1\naddress = \"" + l.Addr().String() + "\""
	return strings.Replace(oneVIP, `type = "none"`, check, 1), l
}

// An agent that is restarted before its own probes have settled hands on what it
// inherited.
func TestC70RestartTwiceAtOnce(t *testing.T) {
	wired(t)
	text, _ := probed(t)
	n := start(t, text)
	n.stop()
	n.opts.Restarting = func() bool { return true }
	n.run()
	n.active("k3s", "198.51.100.100")
	n.stop()
	n.run()
	n.stop()
	if s, err := loadState(n.opts.RuntimeDir); err != nil || s.Grade != vrrp.Ready || !s.HasBeenReady {
		t.Errorf("state after the second restart: %+v, %v", s, err)
	}
}

// A router that a reload makes anew knows that the node has been ready: while all
// are down it is as good a last resort as the one before.
func TestC65ReloadInherits(t *testing.T) {
	wired(t)
	text, l := probed(t)
	n := start(t, text)
	n.active("k3s", "198.51.100.100")
	must(t, l.Close())
	within(t, 3*time.Second, "down", func() bool { return n.routerOf("k3s").Grade == "down" })
	n.reload(strings.Replace(text, "198.51.100.100", "198.51.100.102", 1))
	n.active("k3s", "198.51.100.102")
}

// Where a reload makes signatures need the clock, a clock that is not right bars
// the node before it refuses its peers for it.
func TestReloadBars(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.stop()
	n.opts.Synchronised = func(context.Context) error { return errUnsynchronised }
	n.run()
	key := filepath.Join(t.TempDir(), "key")
	must(t, os.WriteFile(key, []byte(strings.Repeat("k", 32)), 0o600))
	n.reload(oneVIP + "\n[auth]\nmode = \"enforce\"\nactive_key = 1\nkeys = [{ id = 1, file = \"" + key + "\" }]\nanti_replay = \"time\"\n")
	if p := n.status().Problems; len(p) != 1 { // not asked yet, or not synchronised
		t.Errorf("problems: %q", p)
	}
	within(t, time.Second, "it says why", func() bool {
		p := n.status().Problems
		return len(p) == 1 && p[0] == errUnsynchronised.Error()
	})
	n.reload(oneVIP)
	if p := n.status().Problems; len(p) != 0 {
		t.Errorf("problems without auth: %q", p)
	}
}

// A router that could have resumed when the agent started, and no longer when its
// network was ready, does not keep the addresses until their lease ends.
func TestC70RestartLateNetwork(t *testing.T) {
	wired(t)
	put(t, "198.51.100.100/32")
	c, err := newClock()
	must(t, err)
	rec := newRecorder(slog.New(slog.DiscardHandler))
	ctx, cancel := context.WithCancel(context.Background())
	cfg := vipConfig()
	r := newRouter(id{cfg.Name, vrrp.IPv4}, cfg, nil, true, c, rec, func() {})
	s := newSegment(testInterface, vrrp.IPv4, c, rec)
	var wg sync.WaitGroup
	wg.Go(func() { r.run(ctx) })
	wg.Go(func() { s.run(ctx) })
	t.Cleanup(func() { cancel(); wg.Wait() })
	s.add(r, savedState{State: "Active", SentAt: c.now().Add(-time.Second), Interval: cfg.AdvertInterval})
	within(t, 500*time.Millisecond, "the address is off", func() bool { return !assigned("198.51.100.100") })
	within(t, 500*time.Millisecond, "it is Backup", func() bool { return r.snapshot().state == vrrp.Backup })
}

func TestC70RestartTooLate(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.opts.Restarting = func() bool { return true }
	n.active("k3s", "198.51.100.100")
	n.stop()
	n.run()
	n.active("k3s", "198.51.100.100")
	n.stop()
	time.Sleep(3*50*time.Millisecond + 20*time.Millisecond) // past 3 advertisements; this is what is tested
	n.run()
	n.active("k3s", "198.51.100.100")
	if r := n.routerOf("k3s"); r.Cause == "the agent was restarted and goes on" {
		t.Error("resumed although its peers have missed it")
	}
}

// What a killed agent leaves is taken off, also when its state is of no use.
func TestRelease(t *testing.T) {
	for name, damage := range map[string]func(dir string) error{
		"as saved": func(string) error { return nil },
		"damaged":  func(dir string) error { return os.WriteFile(statePath(dir), []byte("{"), 0o600) },
		"missing":  func(dir string) error { return os.Remove(statePath(dir)) },
	} {
		t.Run(name, func(t *testing.T) {
			wired(t)
			put(t, "198.51.100.100/32")
			put(t, "198.51.100.7/32") // another's
			dir := t.TempDir()
			config := filepath.Join(dir, "vipd.toml")
			must(t, os.WriteFile(config, []byte(oneVIP), 0o600))
			boot, err := bootID()
			must(t, err)
			must(t, state{BootID: boot, HasBeenReady: true, Routers: map[string]savedState{
				"k3s/IPv4": {State: "Active", Interface: testInterface, VRID: 51, Addresses: []string{"198.51.100.100"}, Source: "198.51.100.1", Interval: 50 * time.Millisecond},
			}}.save(dir))
			must(t, damage(dir))
			did, err := Release(t.Context(), config, dir)
			if (err != nil) != (name == "damaged") {
				t.Errorf("%q, %v", did, err)
			}
			if assigned("198.51.100.100") || !assigned("198.51.100.7") {
				t.Errorf("ours is there: %v, the other: %v", assigned("198.51.100.100"), assigned("198.51.100.7"))
			}
			if want := "told the peers of k3s/IPv4 that this node left"; slices.Contains(did, want) != (name == "as saved") {
				t.Errorf("did %q", did)
			}
			if s, err := loadState(dir); err != nil || s.HasBeenReady || len(s.Routers) != 0 {
				t.Errorf("the state is not erased: %+v, %v", s, err)
			}
		})
	}
}

// A second agent in the same directory is refused, and does the first no harm.
func TestRunTwice(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	if err := Run(t.Context(), n.opts); err == nil || !strings.Contains(err.Error(), "another agent answers") {
		t.Errorf("a second agent: %v", err)
	}
	if r := n.routerOf("k3s"); r.State != "Active" || !assigned("198.51.100.100") {
		t.Errorf("the first one: %+v", r)
	}
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "vipd.toml")
	opts := Options{ConfigPath: file, RuntimeDir: dir, Logger: slog.New(slog.DiscardHandler), Notifier: systemd.NewNotifier()}
	if err := Run(t.Context(), opts); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("without a file: %v", err)
	}
	must(t, os.WriteFile(file, []byte("[[vip]]\naddresses = [\"198.51.100.100\"]\n"), 0o600))
	if err := Run(t.Context(), opts); err == nil || !strings.Contains(err.Error(), file+":1: vip.vrid") {
		t.Errorf("with a bad file: %v", err)
	}
}

// A router's loop that is stuck starves systemd's watchdog, though the rest of the
// agent goes on.
func TestStuckLoopStarvesTheWatchdog(t *testing.T) {
	wired(t)
	socket := filepath.Join(t.TempDir(), "notify")
	l, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	must(t, err)
	t.Cleanup(func() { l.Close() })
	t.Setenv("NOTIFY_SOCKET", socket)
	t.Setenv("WATCHDOG_USEC", "100000")
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
	fed := func(within time.Duration) bool {
		must(t, l.SetReadDeadline(time.Now().Add(within)))
		for buf := make([]byte, 4096); ; {
			n, err := l.Read(buf)
			if err != nil {
				return false
			}
			if string(buf[:n]) == "WATCHDOG=1" {
				return true
			}
		}
	}

	file := filepath.Join(t.TempDir(), "vipd.toml")
	must(t, os.WriteFile(file, []byte(oneVIP), 0o600))
	a, err := newAgent(Options{
		ConfigPath: file, RuntimeDir: t.TempDir(), Logger: slog.New(slog.DiscardHandler),
		Notifier: systemd.NewNotifier(), Synchronised: func(context.Context) error { return nil },
	})
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- a.run(ctx) }()
	t.Cleanup(func() { cancel(); must(t, <-ended) })
	if !fed(5 * time.Second) {
		t.Fatal("a healthy agent does not feed the watchdog")
	}

	var stuck *router
	within(t, time.Second, "there is a router", func() bool {
		if live := *a.live.Load(); len(live) == 1 {
			stuck = live[0]
		}
		return stuck != nil
	})
	held, free := make(chan struct{}), make(chan struct{})
	stuck.call(func() { close(held); <-free })
	<-held
	fed(10 * time.Millisecond) // what was under way
	if fed(500 * time.Millisecond) {
		t.Error("fed while a loop is stuck")
	}
	close(free)
	if !fed(5 * time.Second) {
		t.Error("not fed again")
	}
}

// rename gives the near interface another name.
func rename(t *testing.T, from, to string) {
	t.Helper()
	link, err := netlink.LinkByName(from)
	must(t, err)
	must(t, netlink.LinkSetName(link, to))
}

// on reports whether an address is on an interface.
func on(iface, address string) bool {
	link, err := netlink.LinkByName(iface)
	if err != nil {
		return false
	}
	list, err := netlink.AddrList(link, netlink.FAMILY_ALL)
	return err == nil && slices.ContainsFunc(list, func(a netlink.Addr) bool { return a.IP.String() == address })
}

// An interface that was found by its subnet is the same under another name: nothing
// moves, and what is saved and shown has the new one.
func TestInterfaceRenamed(t *testing.T) {
	wired(t)
	n := start(t, strings.Replace(oneVIP, "interface = \"vipd0\"\n", "", 1))
	n.active("k3s", "198.51.100.100")
	since := n.routerOf("k3s").Since
	rename(t, testInterface, "lan0")
	t.Cleanup(func() { rename(t, "lan0", testInterface) })
	within(t, time.Second, "it has the new name", func() bool { return n.routerOf("k3s").Interface == "lan0" })
	watched := time.Now().Add(2500 * time.Millisecond) // more than a lease
	for time.Now().Before(watched) {
		if !on("lan0", "198.51.100.100") {
			t.Fatal("the address was taken off")
		}
		time.Sleep(20 * time.Millisecond)
	}
	r := n.routerOf("k3s")
	if r.State != "Active" || !r.Since.Equal(since) || len(r.Problems) != 0 {
		t.Errorf("%+v", r)
	}
	within(t, time.Second, "the new name is saved", func() bool {
		s, err := loadState(n.opts.RuntimeDir)
		return err == nil && s.Routers["k3s/IPv4"].Interface == "lan0"
	})
	// One that a reload adds is on the same segment.
	second := "\n[[vip]]\nname = \"second\"\naddresses = [\"198.51.100.101\"]\nvrid = 52\nadvert_interval = \"50ms\"\n"
	n.reload(strings.Replace(oneVIP, "interface = \"vipd0\"\n", "", 1) + second)
	within(t, 2*time.Second, "second holds", func() bool { return on("lan0", "198.51.100.101") })
	if !n.routerOf("k3s").Since.Equal(since) {
		t.Error("adding a VIP moved another")
	}
}

// A subnet that comes back on an interface of another name is found again.
func TestSubnetMoves(t *testing.T) {
	wired(t)
	n := start(t, strings.Replace(oneVIP, "interface = \"vipd0\"\n", "", 1))
	n.active("k3s", "198.51.100.100")
	unplug(t)
	within(t, 2*time.Second, "Initialize without the interface", func() bool { return n.routerOf("k3s").State == "Initialize" })
	plug(t)
	rename(t, testInterface, "lan0")
	within(t, 3*time.Second, "found again", func() bool { return on("lan0", "198.51.100.100") })
	rename(t, "lan0", testInterface)
	within(t, time.Second, "its name", func() bool { return n.routerOf("k3s").Interface == testInterface })
}

// An interface that is named in vipd.toml and now has another name is waited for; the
// status says how it is called.
func TestNamedInterfaceRenamed(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	rename(t, testInterface, "lan0")
	within(t, time.Second, "it says so", func() bool {
		r := n.routerOf("k3s")
		return r.State == "Initialize" && len(r.Problems) == 1 &&
			strings.Contains(r.Problems[0], "waiting for interface vipd0, which is called lan0 now: rename it back (ip link set lan0 name vipd0)")
	})
	if on("lan0", "198.51.100.100") {
		t.Error("the address is left")
	}
	rename(t, "lan0", testInterface)
	n.active("k3s", "198.51.100.100")
	if p := n.routerOf("k3s").Problems; len(p) != 0 {
		t.Errorf("problems: %q", p)
	}
}

// A node that gets another address says farewell from that one, should the agent die.
func TestOwnAddressChanged(t *testing.T) {
	wired(t)
	n := start(t, oneVIP)
	n.active("k3s", "198.51.100.100")
	put(t, "198.51.100.9/24")
	link, err := netlink.LinkByName(testInterface)
	must(t, err)
	old, err := netlink.ParseAddr("198.51.100.1/24")
	must(t, err)
	_ = os.WriteFile("/proc/sys/net/ipv4/conf/"+testInterface+"/promote_secondaries", []byte("1"), 0o600) // or both go
	must(t, netlink.AddrDel(link, old))
	within(t, 2*time.Second, "the new address is saved", func() bool {
		s, err := loadState(n.opts.RuntimeDir)
		return err == nil && s.Routers["k3s/IPv4"].Source == "198.51.100.9"
	})
	if r := n.routerOf("k3s"); r.State != "Active" || !assigned("198.51.100.100") {
		t.Errorf("%+v", r)
	}
}
