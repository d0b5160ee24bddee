package systemd

import (
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// inbox receives datagrams where systemd or journald would.
type inbox struct {
	*net.UnixConn
	path string
}

// newInbox listens below a directory whose name, unlike t.TempDir's, is short
// enough for a socket.
func newInbox(t *testing.T) inbox {
	t.Helper()
	dir, err := os.MkdirTemp("", "inbox")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	return newInboxAt(t, filepath.Join(dir, "socket"))
}

func newInboxAt(t *testing.T, path string) inbox {
	t.Helper()
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return inbox{conn, path}
}

func (i inbox) next(t *testing.T) string {
	t.Helper()
	if err := i.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 1<<16)
	n, err := i.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return string(b[:n])
}
