package vip

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// diag destroys TCP connections through the kernel's socket diagnostics.
type diag struct {
	socket *nl.NetlinkSocket
	shared map[int]*nl.SocketHandle
}

// Layout of struct inet_diag_req_v2 and struct inet_diag_msg (linux/inet_diag.h):
// both hold, at their own offset, the struct inet_diag_sockid that names a socket.
const (
	diagIDLen      = 48
	diagRequestID  = 8
	diagMessageID  = 4
	diagRequestLen = diagRequestID + diagIDLen
	diagSource     = 4 // in the id: the local address, 16 bytes
	diagTimer      = 2 // in the message
)

// diagTimeWait is the timer of what the kernel keeps of a connection that nobody here has
// open. Its state may be one of [connected] (FIN_WAIT2), but its end tells the peer
// nothing, and older kernels refuse it with EOPNOTSUPP.
const diagTimeWait = 3

// connected is the mask of TCP states that have a peer to be told.
const connected = 1<<unix.BPF_TCP_ESTABLISHED | 1<<unix.BPF_TCP_SYN_SENT | 1<<unix.BPF_TCP_SYN_RECV |
	1<<unix.BPF_TCP_NEW_SYN_RECV | 1<<unix.BPF_TCP_FIN_WAIT1 | 1<<unix.BPF_TCP_FIN_WAIT2 |
	1<<unix.BPF_TCP_CLOSE_WAIT | 1<<unix.BPF_TCP_LAST_ACK | 1<<unix.BPF_TCP_CLOSING

func newDiag() (*diag, error) {
	s, err := nl.Subscribe(unix.NETLINK_INET_DIAG)
	if err != nil {
		return nil, fmt.Errorf("open socket diagnostics: %w", err)
	}
	return &diag{socket: s, shared: map[int]*nl.SocketHandle{unix.NETLINK_INET_DIAG: {Socket: s}}}, nil
}

func (d *diag) close() { d.socket.Close() }

// destroy resets every TCP connection whose local address is one of addrs. What it
// cannot list or reset keeps it from none of the others.
func (d *diag) destroy(addrs []netip.Addr) error {
	// An IPv4 connection may be on an IPv6 socket: that is what Go's listeners are.
	families := []uint8{unix.AF_INET6}
	if slices.ContainsFunc(addrs, netip.Addr.Is4) {
		families = append(families, unix.AF_INET)
	}
	var errs []error
	var all toll
	for _, family := range families {
		ids, err := d.find(family, addrs)
		errs = append(errs, err)
		for _, id := range ids {
			all.count(d.kill(family, id))
		}
	}
	return errors.Join(append(errs, all.err())...)
}

// find returns what it has found also when it fails.
func (d *diag) find(family uint8, addrs []netip.Addr) (ids [][diagIDLen]byte, err error) {
	req := d.request(nl.SOCK_DIAG_BY_FAMILY, unix.NLM_F_DUMP, family, [diagIDLen]byte{})
	err = req.ExecuteIter(unix.NETLINK_INET_DIAG, nl.SOCK_DIAG_BY_FAMILY, func(msg []byte) bool {
		if id, ok := connection(msg); ok && slices.Contains(addrs, localAddr(family, id)) {
			ids = append(ids, id)
		}
		return true
	})
	if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
		return ids, fmt.Errorf("list TCP connections: %w", err)
	}
	return ids, nil
}

// connection returns the id of the connection that a message of a dump is about.
func connection(msg []byte) (id [diagIDLen]byte, ok bool) {
	if len(msg) < diagMessageID+diagIDLen || msg[diagTimer] == diagTimeWait {
		return id, false
	}
	return [diagIDLen]byte(msg[diagMessageID:]), true
}

func localAddr(family uint8, id [diagIDLen]byte) netip.Addr {
	if family == unix.AF_INET {
		return netip.AddrFrom4([4]byte(id[diagSource:]))
	}
	return netip.AddrFrom16([16]byte(id[diagSource:])).Unmap()
}

func (d *diag) kill(family uint8, id [diagIDLen]byte) error {
	_, err := d.request(nl.SOCK_DESTROY, unix.NLM_F_ACK, family, id).Execute(unix.NETLINK_INET_DIAG, 0)
	return err
}

// toll counts what became of connections that were to be destroyed.
type toll struct {
	destroyed, left int
	first           error // why the first one is left
}

func (t *toll) count(err error) {
	switch {
	case err == nil:
		t.destroyed++
	case errors.Is(err, unix.ENOENT): // it ended by itself
	default:
		t.left++
		if t.first == nil {
			t.first = err
		}
	}
}

func (t *toll) err() error {
	switch {
	case t.left == 0:
		return nil
	case t.destroyed == 0 && errors.Is(t.first, unix.EOPNOTSUPP):
		return errors.New("destroy TCP connections: the kernel was built without CONFIG_INET_DIAG_DESTROY")
	}
	return fmt.Errorf("destroy TCP connections: %d of %d are left, the first because of: %w", t.left, t.left+t.destroyed, t.first)
}

func (d *diag) request(kind, flags int, family uint8, id [diagIDLen]byte) *nl.NetlinkRequest {
	b := make([]byte, diagRequestLen)
	b[0], b[1] = family, unix.IPPROTO_TCP
	binary.NativeEndian.PutUint32(b[4:], connected)
	copy(b[diagRequestID:], id[:])
	req := nl.NewNetlinkRequest(kind, flags)
	req.Sockets = d.shared
	req.AddRawData(b)
	return req
}

func destroyOnce(addrs []netip.Addr) error {
	if len(addrs) == 0 {
		return nil
	}
	d, err := newDiag()
	if err != nil {
		return err
	}
	defer d.close()
	return d.destroy(addrs)
}
