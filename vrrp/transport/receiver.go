package transport

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

const (
	// receiveBuffer is asked of the kernel, which doubles it: room for what
	// comes while the process is stalled, since a full queue drops the newest.
	receiveBuffer = 512 << 10
	// drainLimit bounds one Drain. The receive buffer holds fewer: a queued
	// packet takes more than 512 bytes of it.
	drainLimit = 2 * receiveBuffer / 512
	// interfaceCheck is how often Run looks whether the interface is still
	// there: the kernel does not wake a raw socket when it goes.
	interfaceCheck = time.Second
)

// Receiver receives the VRRP packets of one address family that arrive on one
// interface, by multicast or unicast, and hands each to the [Handler] of its
// VRID. It does not judge them: version, type, TTL, addresses and length are
// the handler's to check, except that what carries no VRID at all is dropped.
// With IPv6 the kernel drops those with a wrong checksum.
type Receiver struct {
	name  string
	group group
	clock func() vrrp.Instant
	file  *os.File
	conn  syscall.RawConn
	bell  *bell

	filtering sync.Mutex // keeps the filter in step with the handlers
	handlers  [256]atomic.Pointer[Handler]

	reading  sync.Mutex // one reader at a time, Run or Drain; guards what follows
	batch    *batch
	datagram Datagram
	empty    vrrp.Instant // when the socket was last known to be empty
	budget   budget

	got    int // what readSocket came to
	failed error

	// drainSocket and readSocket, made once: they leave no garbage.
	drain, once func(fd uintptr)

	received, deferred, truncated atomic.Uint64
}

// Stats counts what became of the packets that passed the filter.
type Stats struct {
	Received  uint64 // handed to a handler
	Dropped   uint64 // dropped by the kernel: the queue was full or an IPv6 checksum wrong
	Truncated uint64 // dropped because longer than any VRRP packet
	Deferred  uint64 // pauses of Run that its budget asked for
}

// NewReceiver opens the socket of a Receiver and joins the multicast group. It
// needs CAP_NET_RAW. Arrival times are on the given monotonic clock, which is
// called from the goroutines of Run and Drain.
func NewReceiver(ifi *net.Interface, f vrrp.Family, clock func() vrrp.Instant) (*Receiver, error) {
	r := &Receiver{
		name:  ifi.Name,
		group: group{family: f, index: ifi.Index},
		clock: clock,
		batch: newBatch(),
		empty: clock(),
	}
	r.budget = newBudget(r.empty)
	fd, err := openSocket(ifi, f, receiverOptions(f))
	if err != nil {
		return nil, r.wrap(err)
	}
	if err := setReceiveBuffer(fd); err != nil {
		unix.Close(fd)
		return nil, r.wrap(err)
	}
	if err := r.group.join(fd); err != nil {
		unix.Close(fd)
		return nil, r.wrap(err)
	}
	if r.bell, err = newBell(fd); err != nil {
		unix.Close(fd)
		return nil, r.wrap(err)
	}
	r.file = os.NewFile(uintptr(fd), "vrrp:"+ifi.Name)
	if r.conn, err = r.file.SyscallConn(); err != nil {
		return nil, r.wrap(errors.Join(err, r.Close()))
	}
	r.drain, r.once = r.drainSocket, r.readSocket
	r.Drain() // what slipped in before there was a filter
	return r, nil
}

func setReceiveBuffer(fd int) error {
	err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, receiveBuffer)
	if errors.Is(err, unix.EPERM) { // without CAP_NET_ADMIN: as much as the host allows
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, receiveBuffer)
	}
	if err != nil {
		return fmt.Errorf("set receive buffer: %w", err)
	}
	return nil
}

// Handle makes h the handler of a VRID; nil removes it. The kernel drops
// packets for VRIDs without a handler. It may be called at any time, also by a
// handler; a handler that is running while it is removed is not waited for.
func (r *Receiver) Handle(vrid uint8, h Handler) error {
	r.filtering.Lock()
	defer r.filtering.Unlock()
	if h == nil {
		r.handlers[vrid].Store(nil)
	} else {
		r.handlers[vrid].Store(&h)
	}
	var set vridSet
	for id := range r.handlers {
		if r.handlers[id].Load() != nil {
			set.add(uint8(id))
		}
	}
	return r.wrap(r.control(func(fd int) error { return set.attach(fd, r.group.family) }))
}

// Run reads and delivers packets until ctx is done, and then returns nil, or
// until the socket is of no more use: then it returns why. If the interface
// is gone the error wraps unix.ENODEV; a new one needs a new Receiver. Run must
// not be called twice.
func (r *Receiver) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { r.bell.setDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		err := r.bell.setDeadline(time.Now().Add(interfaceCheck))
		if ctx.Err() != nil { // looked at after the deadline was set, which may have undone stop's
			return nil
		}
		if err == nil {
			err = r.readUntilDeadline(ctx)
		}
		if ctx.Err() != nil {
			return nil
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			err = r.control(r.checkInterface)
		}
		if err != nil {
			return r.wrap(err)
		}
	}
}

// readUntilDeadline returns nil only when ctx is done. While there is something to read
// it looks at no deadline: then the interface is there.
func (r *Receiver) readUntilDeadline(ctx context.Context) error {
	for ctx.Err() == nil {
		n, rest, err := r.read()
		switch {
		case err != nil:
			return err
		case rest > 0:
			r.deferred.Add(1)
			time.Sleep(rest)
		case n < batchSize:
			if err := r.bell.wait(); err != nil {
				return err
			}
		}
	}
	return nil
}

// read reads and delivers one batch, and returns its size and how long to rest after it.
func (r *Receiver) read() (n int, rest time.Duration, err error) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if err := r.conn.Control(r.once); err != nil {
		return 0, 0, err
	}
	return r.got, r.budget.rest(r.got, r.clock()), r.failed
}

func (r *Receiver) readSocket(fd uintptr) { r.got, r.failed = r.receive(int(fd)) }

// checkInterface asks for the name of the device that the socket is bound to.
func (r *Receiver) checkInterface(fd int) error {
	if _, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE); err != nil {
		return fmt.Errorf("interface %s (index %d) is gone: %w", r.name, r.group.index, err)
	}
	return nil
}

// Drain delivers, in the caller's goroutine, what was queued in the socket when
// it was called, and waits for what Run is delivering. So a caller that was
// stalled learns what came meanwhile before it acts on a timer. It may deliver
// some of what arrives during the call too, but a flood does not keep it: it
// ends after as many as the queue can hold. Errors are left for Run to report.
func (r *Receiver) Drain() {
	r.reading.Lock()
	defer r.reading.Unlock()
	r.conn.Control(r.drain)
}

// DrainSince is Drain unless the socket has been found empty at that time or later: of
// many who look after a stall, one is enough.
func (r *Receiver) DrainSince(since vrrp.Instant) {
	r.reading.Lock()
	defer r.reading.Unlock()
	if r.empty < since {
		r.conn.Control(r.drain)
	}
}

// drainSocket counts rather than looks at arrivals, which say nothing about the
// order when the wall clock was set meanwhile.
func (r *Receiver) drainSocket(fd uintptr) {
	for left := drainLimit; left > 0; left -= batchSize {
		n, err := r.receive(int(fd))
		if err != nil || n < batchSize {
			return
		}
	}
}

// receive reads and delivers one batch, and returns its size: 0 when nothing is
// queued. The caller holds r.reading.
func (r *Receiver) receive(fd int) (int, error) {
	before := r.clock()
	n, err := r.batch.read(fd)
	if err != nil {
		return 0, fmt.Errorf("recvmmsg: %w", err)
	}
	// In this order a stall between the two readings makes an arrival later,
	// which delays a takeover, rather than earlier, which would cause one.
	wall := time.Now().UnixNano()
	now := r.clock()
	for i := range n {
		r.deliver(i, wall, now)
	}
	r.budget.spend(n, now)
	if n < batchSize {
		r.empty = before
	}
	return n, nil
}

func (r *Receiver) deliver(i int, wall int64, now vrrp.Instant) {
	if r.batch.truncated(i) {
		r.truncated.Add(1)
		return
	}
	d := &r.datagram
	data, src, ancillary := r.batch.datagram(i)
	d.Arrival = arrival(ancillary.stamp, wall, now, r.empty)
	ok := false
	if r.group.family == vrrp.IPv4 {
		ok = d.decodeIPv4(data)
	} else {
		ok = d.decodeIPv6(src, data, ancillary)
	}
	if !ok || len(d.Payload) <= offsetVRID {
		return
	}
	h := r.handlers[d.Payload[offsetVRID]].Load()
	if h == nil {
		return
	}
	r.received.Add(1)
	(*h)(d)
}

// Rejoin leaves the multicast group and joins it again. The kernel forgets a
// membership when the interface loses IPv6 (an MTU below 1280 is enough) and
// does not restore it, so this has to follow each change of link or MTU.
func (r *Receiver) Rejoin() error {
	return r.wrap(r.control(func(fd int) error {
		_ = r.group.leave(fd) // may be no member any more
		return r.group.join(fd)
	}))
}

// Joined reports whether the kernel counts the interface as a member of the
// multicast group. It looks in the network namespace of the calling thread.
func (r *Receiver) Joined() (bool, error) { return r.group.joined() }

// Stats returns the counts so far.
func (r *Receiver) Stats() Stats {
	s := Stats{
		Received:  r.received.Load(),
		Truncated: r.truncated.Load(),
		Deferred:  r.deferred.Load(),
	}
	r.control(func(fd int) error {
		info, err := meminfo(fd)
		s.Dropped = uint64(info[unix.SK_MEMINFO_DROPS])
		return err
	})
	return s
}

// meminfo returns the kernel's numbers on the memory of a socket (SO_MEMINFO).
func meminfo(fd int) (info [unix.SK_MEMINFO_VARS]uint32, err error) {
	size := uint32(unsafe.Sizeof(info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&info)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 {
		return info, errno
	}
	return info, nil
}

// control calls f with the socket, which stays open meanwhile.
func (r *Receiver) control(f func(fd int) error) error {
	var err error
	if closed := r.conn.Control(func(fd uintptr) { err = f(int(fd)) }); closed != nil {
		return closed
	}
	return err
}

// wrap says which receiver failed, if err is not nil.
func (r *Receiver) wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("receive VRRP over %v on %s: %w", r.group.family, r.name, err)
}

// Close closes the socket; if Run is running, it returns an error.
func (r *Receiver) Close() error {
	if err := errors.Join(r.bell.close(), r.file.Close()); err != nil {
		return fmt.Errorf("close VRRP socket on %s: %w", r.name, err)
	}
	return nil
}
