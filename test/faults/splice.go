package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

const (
	// offload is the length of the header in which the kernel tells what is left to do
	// with a frame: checksums, segments.
	offload   = 10
	frameSize = offload + 18 + 1<<16
	// patch is the cable between the splice and the bridge.
	patch, patchPeer = "patch0", "patch1"
)

// splicer is between a port of the switch and the bridge, and passes frames on.
type splicer struct {
	// when says how late each copy of an advertisement from the port is sent.
	when  atomic.Pointer[func() []time.Duration]
	sw    *lab.Node
	port  string
	stop  chan struct{}
	done  sync.WaitGroup
	ends  []int
	close func() error // takes it out again; only the first call does
}

// splice takes a port out of the bridge and passes its frames by hand.
func splice(sw *lab.Node, port string) (*splicer, error) {
	if err := reroute(sw, port); err != nil {
		return nil, fmt.Errorf("splice %s: %w", port, err)
	}
	s := &splicer{sw: sw, port: port, stop: make(chan struct{})}
	s.delay(atOnce)
	s.close = sync.OnceValue(s.unplug)
	for _, name := range []string{port, patch} {
		fd, err := open(sw, name)
		if err != nil {
			return nil, fmt.Errorf("splice %s: %w", port, err)
		}
		s.ends = append(s.ends, fd)
	}
	s.done.Go(func() { s.pass(s.ends[0], s.ends[1], true) })
	s.done.Go(func() { s.pass(s.ends[1], s.ends[0], false) })
	return s, nil
}

// delay says how often advertisements that come from the port go on from now on, and
// how late.
func (s *splicer) delay(when func() []time.Duration) { s.when.Store(&when) }

func atOnce() []time.Duration { return []time.Duration{0} }

// reroute puts a cable of our own where the port was plugged in.
func reroute(sw *lab.Node, port string) error {
	nl := sw.Netlink()
	link, err := nl.LinkByName(port)
	if err != nil {
		return err
	}
	bridge, err := nl.LinkByIndex(link.Attrs().MasterIndex)
	if err != nil {
		return err
	}
	if err := nl.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: patch}, PeerName: patchPeer}); err != nil {
		return err
	}
	far, err := nl.LinkByName(patchPeer)
	if err != nil {
		return err
	}
	near, err := nl.LinkByName(patch)
	if err != nil {
		return err
	}
	return errors.Join(nl.LinkSetUp(near), nl.LinkSetUp(far), nl.LinkSetMaster(far, bridge), nl.LinkSetNoMaster(link))
}

// open opens a socket for all frames of an interface.
func open(sw *lab.Node, name string) (fd int, err error) {
	link, err := sw.Netlink().LinkByName(name)
	if err != nil {
		return -1, err
	}
	index := link.Attrs().Index
	all := binary.BigEndian.Uint16(binary.NativeEndian.AppendUint16(nil, unix.ETH_P_ALL))
	err = sw.Do(func() error {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
		return err
	})
	if err != nil {
		return -1, fmt.Errorf("open a packet socket: %w", err)
	}
	return fd, errors.Join(
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_VNET_HDR, 1),
		unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_IGNORE_OUTGOING, 1),
		unix.SetsockoptPacketMreq(fd, unix.SOL_PACKET, unix.PACKET_ADD_MEMBERSHIP, &unix.PacketMreq{Ifindex: int32(index), Type: unix.PACKET_MR_PROMISC}),
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, 8<<20),
		unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Usec: 50_000}),
		unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: index}),
	)
}

// unplug ends the splicer and plugs the port into the bridge again.
func (s *splicer) unplug() error {
	close(s.stop)
	s.done.Wait()
	for _, fd := range s.ends {
		_ = unix.Close(fd)
	}
	nl := s.sw.Netlink()
	far, err := nl.LinkByName(patchPeer)
	if err != nil {
		return fmt.Errorf("find the splice of %s: %w", s.port, err)
	}
	bridge, err := nl.LinkByIndex(far.Attrs().MasterIndex)
	if err != nil {
		return fmt.Errorf("find the bridge of %s: %w", s.port, err)
	}
	link, err := nl.LinkByName(s.port)
	if err != nil {
		return fmt.Errorf("find port %s: %w", s.port, err)
	}
	return errors.Join(nl.LinkDel(far), nl.LinkSetMaster(link, bridge))
}

func (s *splicer) pass(from, to int, shuffled bool) {
	var late sync.WaitGroup
	defer late.Wait()
	buf := make([]byte, frameSize)
	for {
		select {
		case <-s.stop:
			return
		default:
		}
		n, err := unix.Read(from, buf)
		if err != nil {
			continue // nothing came
		}
		if !shuffled || !advertisement(buf[:n]) {
			_, _ = unix.Write(to, buf[:n]) // what does not fit is lost, as on any wire
			continue
		}
		frame := append([]byte(nil), buf[:n]...)
		for _, d := range (*s.when.Load())() {
			late.Go(func() { s.later(d, func() { _, _ = unix.Write(to, frame) }) })
		}
	}
}

func (s *splicer) later(d time.Duration, do func()) {
	select {
	case <-time.After(d):
		do()
	case <-s.stop:
	}
}

// advertisement reports whether a frame, behind its offload header, carries VRRP.
func advertisement(b []byte) bool {
	const ethernet = offload + 14
	if len(b) < ethernet+20 {
		return false
	}
	switch binary.BigEndian.Uint16(b[ethernet-2:]) {
	case unix.ETH_P_IP:
		return b[ethernet+9] == vrrp.Protocol
	case unix.ETH_P_IPV6:
		return b[ethernet+6] == vrrp.Protocol
	}
	return false
}
