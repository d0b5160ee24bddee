// Package lab builds small networks out of Linux network namespaces: nodes with
// an interface each, plugged into one bridge. It is what the tests, the demo and
// the benchmarks run on, so that none of them touches the network of the machine.
//
// Run programs that use it through test/contain, which puts them into process,
// mount and network namespaces of their own: whatever happens, nothing is left.
package lab

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// Interface is the name of every node's interface.
const Interface = "eth0"

// bridge is the name of the bridge in the switch's namespace.
const bridge = "br0"

var serial atomic.Uint32 // keeps the namespaces of several labs in one process apart

// Lab is one bridged network segment. Close removes it.
type Lab struct {
	prefix string
	sw     *Node
	nodes  []*Node
}

// New makes a segment without nodes. It needs CAP_SYS_ADMIN and CAP_NET_ADMIN.
func New() (*Lab, error) {
	l := &Lab{prefix: fmt.Sprintf("vipd-%d-%d", os.Getpid(), serial.Add(1))}
	sw, err := l.namespace("switch")
	if err != nil {
		return nil, err
	}
	l.sw = sw
	br := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridge}, MulticastSnooping: new(bool)}
	if err := sw.nl.LinkAdd(br); err != nil {
		return nil, errors.Join(fmt.Errorf("add bridge: %w", err), l.Close())
	}
	if err := sw.up(bridge); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// Close kills what still runs in the namespaces and removes them.
func (l *Lab) Close() error {
	var errs []error
	for _, n := range append(l.nodes, l.sw) {
		if n == nil {
			continue
		}
		n.nl.Close()
		n.ns.Close()
		errs = append(errs, netns.DeleteNamed(n.nsName))
	}
	l.nodes, l.sw = nil, nil
	return errors.Join(errs...)
}

// Switch returns the namespace of the bridge. Port names there are node names.
func (l *Lab) Switch() *Node { return l.sw }

// Add makes a node with the given addresses on its interface, in that order.
func (l *Lab) Add(name string, addrs ...netip.Prefix) (*Node, error) {
	n, err := l.namespace(name)
	if err != nil {
		return nil, err
	}
	l.nodes = append(l.nodes, n)
	if err := l.connect(n, nil); err != nil {
		return nil, err
	}
	for _, a := range addrs {
		if err := n.AddAddr(a); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// connect gives a node its interface, with the given hardware address or any, and
// plugs it into the bridge.
func (l *Lab) connect(n *Node, mac net.HardwareAddr) error {
	veth := &netlink.Veth{
		LinkAttrs:        netlink.LinkAttrs{Name: n.Name},
		PeerName:         Interface,
		PeerNamespace:    netlink.NsFd(n.ns),
		PeerHardwareAddr: mac,
	}
	if err := l.sw.nl.LinkAdd(veth); err != nil {
		return fmt.Errorf("add veth for %s: %w", n.Name, err)
	}
	if err := l.sw.enslave(n.Name); err != nil {
		return err
	}
	if err := n.up(Interface); err != nil {
		return err
	}
	return l.awaitCarrier(n)
}

// Detach removes the node's interface, as when a driver is reloaded or a card pulled;
// Attach gives it another one of the same name, with its own hardware address and
// these addresses.
func (l *Lab) Detach(n *Node) error {
	link, err := l.sw.nl.LinkByName(n.Name)
	if err != nil {
		return fmt.Errorf("detach %s: %w", n.Name, err)
	}
	return l.sw.nl.LinkDel(link)
}

// Attach undoes Detach.
func (l *Lab) Attach(n *Node, addrs ...netip.Prefix) error {
	if err := l.connect(n, nil); err != nil {
		return err
	}
	for _, a := range addrs {
		if err := n.AddAddr(a); err != nil {
			return err
		}
	}
	return nil
}

// Renew gives the node a new network namespace, as after a boot: nothing is left but
// its hardware address. What still runs in the old one is no longer on the segment.
func (l *Lab) Renew(n *Node) error {
	link, err := n.nl.LinkByName(Interface)
	if err != nil {
		return fmt.Errorf("%s: find %s: %w", n.Name, Interface, err)
	}
	if err := n.nl.LinkDel(link); err != nil {
		return fmt.Errorf("%s: remove %s: %w", n.Name, Interface, err)
	}
	n.nl.Close()
	n.ns.Close()
	if err := netns.DeleteNamed(n.nsName); err != nil {
		return fmt.Errorf("%s: remove its namespace: %w", n.Name, err)
	}
	fresh, err := l.namespace(n.Name)
	if err != nil {
		return err
	}
	n.ns, n.nl = fresh.ns, fresh.nl
	return l.connect(n, link.Attrs().HardwareAddr)
}

func (l *Lab) namespace(name string) (*Node, error) {
	n := &Node{Name: name, nsName: l.prefix + "-" + name}
	err := onThread(func() error {
		ns, err := netns.NewNamed(n.nsName)
		n.ns = ns
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("make network namespace %s: %w", n.nsName, err)
	}
	if n.nl, err = netlink.NewHandleAt(n.ns); err != nil {
		return nil, fmt.Errorf("open netlink in %s: %w", n.nsName, err)
	}
	// Without loopback a node cannot reach its own API server.
	return n, n.up("lo")
}

// Node is one network namespace of a lab.
type Node struct {
	Name   string
	nsName string
	ns     netns.NsHandle
	nl     *netlink.Handle
}

// Netns returns the path of the node's network namespace.
func (n *Node) Netns() string { return "/run/netns/" + n.nsName }

// Netlink returns a netlink handle inside the node.
func (n *Node) Netlink() *netlink.Handle { return n.nl }

// Do runs f on a thread inside the node. Sockets that f opens stay in the node;
// goroutines that it starts do not.
func (n *Node) Do(f func() error) error {
	return onThread(func() error {
		if err := netns.Set(n.ns); err != nil {
			return fmt.Errorf("enter %s: %w", n.nsName, err)
		}
		return f()
	})
}

// Start starts cmd inside the node.
func (n *Node) Start(cmd *exec.Cmd) error { return n.Do(cmd.Start) }

// Run runs a command inside the node and returns what it printed.
func (n *Node) Run(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out []byte
	err := n.Do(func() (err error) {
		out, err = cmd.CombinedOutput()
		return err
	})
	if err != nil {
		return string(out), fmt.Errorf("%s: %v: %w: %s", n.Name, cmd.Args, err, out)
	}
	return string(out), nil
}

// AddAddr puts an address on the node's interface, without duplicate address detection.
func (n *Node) AddAddr(a netip.Prefix) error {
	link, err := n.nl.LinkByName(Interface)
	if err != nil {
		return fmt.Errorf("%s: find %s: %w", n.Name, Interface, err)
	}
	addr, err := netlink.ParseAddr(a.String())
	if err != nil {
		return err
	}
	if a.Addr().Is6() {
		addr.Flags = 0x02 // IFA_F_NODAD
	}
	if err := n.nl.AddrAdd(link, addr); err != nil {
		return fmt.Errorf("%s: add %s: %w", n.Name, a, err)
	}
	return nil
}

// Addrs returns the addresses on the node's interface, in the kernel's order.
func (n *Node) Addrs() ([]netip.Addr, error) {
	link, err := n.nl.LinkByName(Interface)
	if err != nil {
		return nil, fmt.Errorf("%s: find %s: %w", n.Name, Interface, err)
	}
	var list []netlink.Addr
	for range 20 { // as vip.Dump, whose tests need this room
		list, err = n.nl.AddrList(link, netlink.FAMILY_ALL)
		if !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: list addresses: %w", n.Name, err)
	}
	var out []netip.Addr
	for _, a := range list {
		if ip, ok := netip.AddrFromSlice(a.IP); ok {
			out = append(out, ip.Unmap())
		}
	}
	return out, nil
}

// Unplug takes the carrier from the node's interface; Plug gives it back.
func (l *Lab) Unplug(n *Node) error {
	link, err := l.sw.nl.LinkByName(n.Name)
	if err != nil {
		return fmt.Errorf("unplug %s: %w", n.Name, err)
	}
	return l.sw.nl.LinkSetDown(link)
}

// Plug gives the carrier back, and waits until it has arrived.
func (l *Lab) Plug(n *Node) error {
	if err := l.sw.up(n.Name); err != nil {
		return err
	}
	return l.awaitCarrier(n)
}

// awaitCarrier waits until both ends of a node's cable are up: the kernel tells
// itself of a change of carrier up to a second later.
func (l *Lab) awaitCarrier(n *Node) error {
	const patience = 5 * time.Second
	for deadline := time.Now().Add(patience); ; {
		near, err := n.nl.LinkByName(Interface)
		if err != nil {
			return fmt.Errorf("%s: find %s: %w", n.Name, Interface, err)
		}
		far, err := l.sw.nl.LinkByName(n.Name)
		if err != nil {
			return fmt.Errorf("find port %s: %w", n.Name, err)
		}
		if near.Attrs().OperState == netlink.OperUp && far.Attrs().OperState == netlink.OperUp {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s has no carrier after %v", n.Name, patience)
		}
		<-time.After(time.Millisecond)
	}
}

// Cut makes the bridge drop all that comes from and goes to the node, while its
// carrier stays; Join undoes it.
func (l *Lab) Cut(n *Node) error { return l.sw.portState(n.Name, "0") }

// Join lets the node's frames pass again.
func (l *Lab) Join(n *Node) error { return l.sw.portState(n.Name, "3") }

func (n *Node) portState(port, state string) error {
	_, err := n.Run("bridge", "link", "set", "dev", port, "state", state)
	return err
}

func (n *Node) up(name string) error {
	link, err := n.nl.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: find %s: %w", n.Name, name, err)
	}
	if err := n.nl.LinkSetUp(link); err != nil {
		return fmt.Errorf("%s: set %s up: %w", n.Name, name, err)
	}
	return nil
}

func (n *Node) enslave(port string) error {
	br, err := n.nl.LinkByName(bridge)
	if err != nil {
		return fmt.Errorf("find bridge: %w", err)
	}
	link, err := n.nl.LinkByName(port)
	if err != nil {
		return fmt.Errorf("find port %s: %w", port, err)
	}
	if err := n.nl.LinkSetMaster(link, br); err != nil {
		return fmt.Errorf("plug %s into the bridge: %w", port, err)
	}
	return n.up(port)
}

// onThread runs f on a thread of its own kept for it, and puts the thread back
// into the namespace that it came from. If that fails the thread dies with the goroutine.
func onThread(f func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		home, err := netns.Get()
		if err != nil {
			done <- fmt.Errorf("get network namespace: %w", err)
			return
		}
		defer home.Close()
		err = f()
		if back := netns.Set(home); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}
