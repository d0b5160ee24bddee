package transport

import (
	"errors"
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// errAny stands for any error.
var errAny = errors.New("an error")

func TestBell(t *testing.T) {
	type step struct {
		do   string // send, read, wait, close
		want error  // of a wait
	}
	for _, tt := range []struct {
		name  string
		steps []step
	}{
		{"nothing comes", []step{{"wait", os.ErrDeadlineExceeded}}},
		{"something is there", []step{{"send", nil}, {"wait", nil}}},
		{"it has been read", []step{{"send", nil}, {"wait", nil}, {"read", nil}, {"wait", os.ErrDeadlineExceeded}}},
		{"it was read before", []step{{"send", nil}, {"read", nil}, {"wait", os.ErrDeadlineExceeded}}},
		{"it has not been read", []step{{"send", nil}, {"wait", nil}, {"wait", nil}}},
		{"one of two is left", []step{{"send", nil}, {"send", nil}, {"wait", nil}, {"read", nil}, {"wait", nil}}},
		{"the next one", []step{{"send", nil}, {"wait", nil}, {"read", nil}, {"send", nil}, {"wait", nil}}},
		{"after a deadline", []step{{"wait", os.ErrDeadlineExceeded}, {"send", nil}, {"wait", nil}}},
		{"it is closed", []step{{"send", nil}, {"close", nil}, {"wait", errAny}}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b, near, far := hung(t)
			for _, s := range tt.steps {
				switch s.do {
				case "send":
					datagram(t, far)
				case "read":
					if _, err := unix.Read(near, make([]byte, 1)); err != nil {
						t.Fatal(err)
					}
				case "close":
					if err := b.close(); err != nil {
						t.Fatal(err)
					}
				case "wait":
					by := time.Now().Add(10 * time.Second)
					if s.want != nil {
						by = time.Now().Add(time.Millisecond)
					}
					b.setDeadline(by) // fails where it is closed
					waits(t, b, s.want)
				}
			}
		})
	}
}

func TestBellRingsForOneThatWaits(t *testing.T) {
	for name, end := range map[string]struct {
		by   func(b *bell, far int) error
		want error
	}{
		"a datagram": {func(_ *bell, far int) error { return unix.Send(far, []byte{1}, 0) }, nil},
		"a deadline": {func(b *bell, _ int) error { return b.setDeadline(time.Unix(1, 0)) }, os.ErrDeadlineExceeded},
		"close":      {func(b *bell, _ int) error { return b.close() }, errAny},
	} {
		t.Run(name, func(t *testing.T) {
			b, _, far := hung(t)
			waited := make(chan error)
			go func() { waited <- b.wait() }()
			select {
			case err := <-waited:
				t.Fatalf("it does not wait: %v", err)
			case <-time.After(10 * time.Millisecond):
			}
			if err := end.by(b, far); err != nil {
				t.Fatal(err)
			}
			if err := <-waited; !is(err, end.want) {
				t.Errorf("%v, want %v", err, end.want)
			}
		})
	}
}

// While nobody waits, what arrives wakes nobody: that is what a bell is for.
func TestBellIsSilent(t *testing.T) {
	for name, before := range map[string]func(*testing.T, *bell, int){
		"before a wait": func(*testing.T, *bell, int) {},
		"after a wait": func(t *testing.T, b *bell, far int) {
			datagram(t, far)
			waits(t, b, nil)
		},
		"after a wait that ended by its deadline": func(t *testing.T, b *bell, _ int) {
			b.setDeadline(time.Now().Add(time.Millisecond))
			waits(t, b, os.ErrDeadlineExceeded)
			b.setDeadline(time.Time{})
		},
		"after a deadline, with something to read": func(t *testing.T, b *bell, far int) {
			datagram(t, far)
			b.setDeadline(time.Unix(1, 0))
			waits(t, b, os.ErrDeadlineExceeded)
			b.setDeadline(time.Time{})
		},
	} {
		t.Run(name, func(t *testing.T) {
			b, near, far := hung(t)
			before(t, b, far)
			silent := func() {
				t.Helper()
				if ready(t, int(b.file.Fd())) {
					t.Fatal("it rings while nobody waits")
				}
			}
			silent()
			for range 3 {
				datagram(t, far)
				silent()
			}
			for err := error(nil); err == nil; _, _, err = unix.Recvfrom(near, make([]byte, 1), unix.MSG_DONTWAIT) {
			}
			datagram(t, far)
			silent()
			waits(t, b, nil)
		})
	}
}

func ready(t *testing.T, fd int) bool {
	t.Helper()
	for {
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}, 0)
		if err == unix.EINTR {
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		return n > 0
	}
}

func waits(t *testing.T, b *bell, want error) {
	t.Helper()
	if err := b.wait(); !is(err, want) {
		t.Fatalf("wait: %v, want %v", err, want)
	}
}

func is(err, want error) bool {
	if want == errAny {
		return err != nil
	}
	return errors.Is(err, want)
}

// hung returns a bell on one end of a pair of sockets.
func hung(t *testing.T) (b *bell, near, far int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	b, err = newBell(pair[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		b.close() // may be closed
		unix.Close(pair[0])
		unix.Close(pair[1])
	})
	return b, pair[0], pair[1]
}

func datagram(t *testing.T, far int) {
	t.Helper()
	if err := unix.Send(far, []byte{1}, 0); err != nil {
		t.Fatal(err)
	}
}
