package vip

import (
	"errors"
	"net"
	"net/netip"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// What is left of a connection that was closed here cannot be destroyed on every kernel,
// and has nobody to be told.
func TestClosedConnectionsAreNotDestroyed(t *testing.T) {
	d, err := newDiag()
	if err != nil {
		t.Fatal(err)
	}
	defer d.close()
	addr := netip.MustParseAddr("127.51.0.1") // nobody else's
	l, err := net.Listen("tcp4", netip.AddrPortFrom(addr, 0).String())
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	accept := func() net.Conn {
		client, err := net.Dial("tcp4", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { client.Close() })
		c, err := l.Accept()
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	open, closed := accept(), accept()
	defer open.Close()
	closed.Close() // here: its client holds on to it
	within(t, 3*time.Second, "only the open connection is found", func() bool {
		ids, err := d.find(unix.AF_INET, []netip.Addr{addr})
		if err != nil {
			t.Fatal(err)
		}
		return len(ids) == 1
	})
}

func TestToll(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct {
		name   string
		became []error
		want   string
	}{
		{"none there", nil, ""},
		{"all", []error{nil, nil, unix.ENOENT}, ""},
		{"some are left", []error{nil, unix.ENOENT, unix.ENOMEM, broken, nil},
			"destroy TCP connections: 2 of 4 are left, the first because of: cannot allocate memory"},
		{"not all by this kernel", []error{nil, unix.EOPNOTSUPP},
			"destroy TCP connections: 1 of 2 are left, the first because of: operation not supported"},
		{"none by this kernel", []error{unix.EOPNOTSUPP, unix.ENOENT, unix.EOPNOTSUPP},
			"destroy TCP connections: the kernel was built without CONFIG_INET_DIAG_DESTROY"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var all toll
			for _, err := range tt.became {
				all.count(err)
			}
			got := ""
			if err := all.err(); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("%q, want %q", got, tt.want)
			}
		})
	}
}
