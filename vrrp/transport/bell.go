package transport

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// bell tells that a socket has something to read: once, until it is waited for again.
// The runtime's own poller hears of each datagram that arrives, also while nobody waits
// for one: in a flood that costs more than to read them. So it watches the bell, an epoll
// of its own, and not the socket.
type bell struct {
	file   *os.File
	conn   syscall.RawConn
	socket int

	// arm, silence and rung as functions, made once: a wait leaves no garbage.
	arming, silencing func(fd uintptr)
	ringing           func(fd uintptr) bool
	failed            error // of any
}

// The events that a bell watches for; the kernel adds errors to each.
const (
	silent = unix.EPOLLONESHOT
	armed  = silent | unix.EPOLLIN
)

// newBell hangs a bell on a socket, which outlives it.
func newBell(socket int) (*bell, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("create an epoll instance: %w", err)
	}
	if err := hang(fd, socket); err != nil {
		unix.Close(fd)
		return nil, err
	}
	b := &bell{file: os.NewFile(uintptr(fd), "epoll"), socket: socket}
	b.arming, b.silencing, b.ringing = b.arm, b.silence, b.rung
	if b.conn, err = b.file.SyscallConn(); err != nil {
		b.file.Close()
		return nil, fmt.Errorf("reach the epoll instance: %w", err)
	}
	return b, nil
}

func hang(fd, socket int) error {
	if err := unix.SetNonblock(fd, true); err != nil { // the runtime polls no others
		return fmt.Errorf("set the epoll instance to non-blocking: %w", err)
	}
	if err := unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, socket, &unix.EpollEvent{Events: silent}); err != nil {
		return fmt.Errorf("add the socket to the epoll instance: %w", err)
	}
	return nil
}

// wait returns nil when the socket has something to read, or an error to fetch from it,
// which may be gone by then. At the deadline the error wraps [os.ErrDeadlineExceeded];
// close ends it with another. It must not be called by two at a time.
func (b *bell) wait() error {
	if err := b.conn.Control(b.arming); err != nil {
		return err
	}
	if b.failed != nil {
		return fmt.Errorf("arm the epoll instance: %w", b.failed)
	}
	if err := b.conn.Read(b.ringing); err != nil {
		return errors.Join(err, b.conn.Control(b.silencing)) // nobody waits any more
	}
	if b.failed != nil {
		return fmt.Errorf("poll the epoll instance: %w", b.failed)
	}
	return nil
}

func (b *bell) arm(fd uintptr) { b.change(fd, armed) }

func (b *bell) silence(fd uintptr) { b.change(fd, silent) }

func (b *bell) change(fd uintptr, events uint32) {
	b.failed = unix.EpollCtl(int(fd), unix.EPOLL_CTL_MOD, b.socket, &unix.EpollEvent{Events: events})
}

// rung also returns true where it failed.
func (b *bell) rung(fd uintptr) bool {
	var events [1]unix.EpollEvent
	for {
		n, err := unix.EpollWait(int(fd), events[:], 0)
		if err == unix.EINTR {
			continue
		}
		b.failed = err
		return n > 0 || err != nil
	}
}

// setDeadline bounds a wait, also one that has begun.
func (b *bell) setDeadline(t time.Time) error { return b.file.SetReadDeadline(t) }

// close ends a wait.
func (b *bell) close() error { return b.file.Close() }
