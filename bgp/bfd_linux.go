package bgp

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"syscall"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// bfdPort is that of single-hop BFD (RFC 5881, section 4).
const bfdPort = 3784

// bfdPatience is how long BFD may take to come up.
const bfdPatience = 10 * time.Second

// bfdLate is how late a timer is when this host stood still, and bfdSpare the time that it then
// takes to read what has come meanwhile.
const (
	bfdLate  = 10 * time.Millisecond
	bfdSpare = 5 * time.Millisecond
)

// BFD hears the routers' packets for all sessions.
type BFD struct {
	mu       sync.Mutex
	sessions map[netip.Addr]*bfdSession
	open     map[bool]net.PacketConn // IPv6, IPv4
	reading  sync.WaitGroup
}

// bfdSession is that with one router, while the BGP session is up.
type bfdSession struct {
	hub    *BFD
	peer   netip.Addr
	out    net.Conn
	in     chan bfdPacket
	down   chan struct{} // closed when it was up, and is not
	fall   sync.Once     // closes it
	cancel context.CancelFunc
	ended  sync.WaitGroup

	mu      sync.Mutex
	machine bfdMachine
}

// NewBFD returns a BFD that listens once it has a session.
func NewBFD() *BFD {
	return &BFD{sessions: make(map[netip.Addr]*bfdSession), open: make(map[bool]net.PacketConn)}
}

// Close ends the listening. The sessions have ended.
func (h *BFD) Close() {
	h.mu.Lock()
	for six, c := range h.open {
		c.Close()
		delete(h.open, six)
	}
	h.mu.Unlock()
	h.reading.Wait()
}

// start begins a session from an address of this node, or goes on with a predecessor's.
func (h *BFD) start(local, peer netip.Addr, interval time.Duration, kept *KeptBFD) (*bfdSession, error) {
	if err := h.listen(peer.Is6()); err != nil {
		return nil, err
	}
	out, err := dialBFD(local, peer)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &bfdSession{hub: h, peer: peer, out: out, in: make(chan bfdPacket, 4), down: make(chan struct{}), cancel: cancel}
	s.machine = bfdMachine{Interval: interval, My: 1 + rand.Uint32N(1<<32-1), State: bfdDown, mult: bfdMult}
	if kept != nil {
		s.machine.My, s.machine.Your, s.machine.State, s.machine.minTx, s.machine.minRx, s.machine.mult = kept.My, kept.Your, bfdUp, kept.MinTx, kept.MinRx, kept.Mult
		s.machine.heard = time.Now()
	}
	h.mu.Lock()
	h.sessions[peer] = s
	h.mu.Unlock()
	s.ended.Go(func() { s.run(ctx) })
	return s, nil
}

// listen opens the port of a family, once for all.
func (h *BFD) listen(six bool) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.open[six] != nil {
		return nil
	}
	network := "udp4"
	if six {
		network = "udp6"
	}
	c, err := net.ListenPacket(network, fmt.Sprintf(":%d", bfdPort))
	if err != nil {
		return fmt.Errorf("listen for BFD: is another BFD daemon on this host? %w", err)
	}
	if six {
		p := ipv6.NewPacketConn(c)
		if err := p.SetControlMessage(ipv6.FlagHopLimit, true); err != nil {
			return errors.Join(fmt.Errorf("listen for BFD: %w", err), c.Close())
		}
		h.read(c, six, func(b []byte) (int, int, net.Addr, error) {
			n, cm, from, err := p.ReadFrom(b)
			if cm == nil {
				return n, 0, from, err
			}
			return n, cm.HopLimit, from, err
		})
		return nil
	}
	p := ipv4.NewPacketConn(c)
	if err := p.SetControlMessage(ipv4.FlagTTL, true); err != nil {
		return errors.Join(fmt.Errorf("listen for BFD: %w", err), c.Close())
	}
	h.read(c, six, func(b []byte) (int, int, net.Addr, error) {
		n, cm, from, err := p.ReadFrom(b)
		if cm == nil {
			return n, 0, from, err
		}
		return n, cm.TTL, from, err
	})
	return nil
}

// read begins to hand packets to their sessions, until Close. The caller holds h.mu.
func (h *BFD) read(c net.PacketConn, six bool, from func([]byte) (int, int, net.Addr, error)) {
	h.open[six] = c
	h.reading.Go(func() { h.deliver(from) })
}

// deliver refuses what was routed (RFC 5881, section 5).
func (h *BFD) deliver(from func([]byte) (int, int, net.Addr, error)) {
	b := make([]byte, 256)
	for {
		n, ttl, addr, err := from(b)
		if err != nil {
			return
		}
		u, ok := addr.(*net.UDPAddr)
		p, good := parseBFD(b[:n])
		if !ok || !good || ttl != 255 {
			continue
		}
		h.mu.Lock()
		s := h.sessions[u.AddrPort().Addr().Unmap()]
		h.mu.Unlock()
		if s == nil {
			continue
		}
		select {
		case s.in <- p:
		default: // it has enough to go by
		}
	}
}

func dialBFD(local, peer netip.Addr) (net.Conn, error) {
	d := net.Dialer{Control: func(_, _ string, c syscall.RawConn) (err error) {
		e := c.Control(func(fd uintptr) {
			level, ttl, tos := unix.IPPROTO_IP, unix.IP_TTL, unix.IP_TOS
			if peer.Is6() {
				level, ttl, tos = unix.IPPROTO_IPV6, unix.IPV6_UNICAST_HOPS, unix.IPV6_TCLASS
			}
			err = errors.Join(unix.SetsockoptInt(int(fd), level, ttl, 255), unix.SetsockoptInt(int(fd), level, tos, priority))
		})
		return errors.Join(e, err)
	}}
	var err error
	for range 16 { // RFC 5881, section 4: a port of the dynamic range
		d.LocalAddr = net.UDPAddrFromAddrPort(netip.AddrPortFrom(local, uint16(49152+rand.IntN(16384))))
		var c net.Conn
		if c, err = d.Dial("udp", netip.AddrPortFrom(peer, bfdPort).String()); err == nil {
			return c, nil
		}
	}
	return nil, fmt.Errorf("open BFD: %w", err)
}

// run sends and watches until ctx ends.
func (s *bfdSession) run(ctx context.Context) {
	next := time.NewTimer(0)
	defer next.Stop()
	due, spared := time.Now(), false
	again := func(d time.Duration) {
		due = time.Now().Add(d)
		next.Reset(d)
	}
	for {
		select {
		case <-ctx.Done():
			return
		case p := <-s.in:
			before := s.interval()
			s.take(p)
			if s.interval() != before {
				again(s.pause()) // it may be much sooner than was thought
			}
		case <-next.C:
			for range len(s.in) { // first: this host may have stood still
				s.take(<-s.in)
			}
			if late := time.Since(due); late > bfdLate && !spared { // what has come is still to be read
				spared = true
				again(bfdSpare)
				continue
			}
			spared = false
			if s.expired() {
				s.fall.Do(func() { close(s.down) })
				return
			}
			s.send(false)
			again(s.pause())
		}
	}
}

func (s *bfdSession) take(p bfdPacket) {
	s.mu.Lock()
	answer, down := s.machine.receive(p, time.Now())
	s.mu.Unlock()
	if down {
		s.fall.Do(func() { close(s.down) })
	}
	if answer {
		s.send(true)
	}
}

func (s *bfdSession) expired() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.expire(time.Now())
}

func (s *bfdSession) interval() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.interval()
}

// pause is the time to the next packet, with the jitter of RFC 5880, section 6.8.7.
func (s *bfdSession) pause() time.Duration {
	d := s.interval()
	return d - time.Duration(rand.Int64N(int64(d/4)+1))
}

func (s *bfdSession) send(final bool) {
	s.mu.Lock()
	b := s.machine.packet(final).marshal()
	s.mu.Unlock()
	_, _ = s.out.Write(b) // the next one follows soon
}

// bid tells the router that the session ends: that it is no failure, unless one was seen.
func (s *bfdSession) bid() {
	s.stop()
	s.mu.Lock()
	if s.machine.State >= bfdInit {
		s.machine.State, s.machine.diag, s.machine.polling = bfdAdminDown, 7, false
	}
	s.mu.Unlock()
	s.send(false)
	s.out.Close()
}

// leave ends the session without a word.
func (s *bfdSession) leave() {
	s.stop()
	s.out.Close()
}

func (s *bfdSession) stop() {
	s.cancel()
	s.ended.Wait()
	s.hub.mu.Lock()
	defer s.hub.mu.Unlock()
	if s.hub.sessions[s.peer] == s {
		delete(s.hub.sessions, s.peer)
	}
}

// up reports whether both ends hear each other.
func (s *bfdSession) up() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.machine.State == bfdUp
}

// KeptBFD is a BFD session that a successor goes on with.
type KeptBFD struct {
	My    uint32        `json:"my"`
	Your  uint32        `json:"your"`
	MinTx time.Duration `json:"min_tx"`
	MinRx time.Duration `json:"min_rx"`
	Mult  uint8         `json:"mult"`
}

// keep returns what a successor needs, if the session is up.
func (s *bfdSession) keep() *KeptBFD {
	s.mu.Lock()
	defer s.mu.Unlock()
	m := &s.machine
	if m.State != bfdUp {
		return nil
	}
	return &KeptBFD{m.My, m.Your, m.minTx, m.minRx, m.mult}
}
