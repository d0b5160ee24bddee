package systemd

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"
)

func TestNotifier(t *testing.T) {
	for name, at := range map[string]func(*testing.T) inbox{
		"path":     newInbox,
		"abstract": func(t *testing.T) inbox { return newInboxAt(t, fmt.Sprintf("@vipd-test-%d", os.Getpid())) },
	} {
		t.Run(name, func(t *testing.T) {
			in := at(t)
			t.Setenv("NOTIFY_SOCKET", in.path)
			n := NewNotifier()
			for _, step := range []struct {
				call func() error
				want string
			}{
				{n.Ready, "READY=1"},
				{func() error { return n.Status("Active\nREADY=1") }, "STATUS=Active READY=1"},
				{n.Watchdog, "WATCHDOG=1"},
				{n.Stopping, "STOPPING=1"},
			} {
				if err := step.call(); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(step.want, in.next(t)); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestNotifierReloading(t *testing.T) {
	in := newInbox(t)
	n := &Notifier{socket: in.path}
	before := monotonicMicroseconds(t)
	if err := n.Reloading(); err != nil {
		t.Fatal(err)
	}
	after := monotonicMicroseconds(t)

	message := in.next(t)
	text, ok := strings.CutPrefix(message, "RELOADING=1\nMONOTONIC_USEC=")
	at, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || at < before || at > after {
		t.Errorf("got %q, want RELOADING=1 and MONOTONIC_USEC from %d to %d", message, before, after)
	}
}

func monotonicMicroseconds(t *testing.T) int64 {
	t.Helper()
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		t.Fatal(err)
	}
	return now.Nano() / 1000
}

func TestNotifierWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	if err := NewNotifier().Ready(); err != nil {
		t.Errorf("without systemd: %v", err)
	}
	t.Setenv("NOTIFY_SOCKET", t.TempDir()+"/gone")
	if err := NewNotifier().Ready(); !errors.Is(err, unix.ENOENT) {
		t.Errorf("socket gone: got %v, want ENOENT", err)
	}
}

func TestNotifierNeverWaits(t *testing.T) {
	in := newInbox(t) // and nobody reads
	n := &Notifier{socket: in.path}
	deadline := time.Now().Add(5 * time.Second)
	for time.Now().Before(deadline) {
		if err := n.Watchdog(); err != nil {
			if !errors.Is(err, unix.EAGAIN) {
				t.Errorf("got %v, want EAGAIN", err)
			}
			return
		}
	}
	t.Error("a socket that nobody reads was never full")
}

func TestWatchdogInterval(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		name, usec, pid string
		want            time.Duration
		wantErr         bool
	}{
		{name: "none"},
		{name: "ours", usec: "3000000", pid: self, want: 600 * time.Millisecond},
		{name: "any process", usec: "2500", want: 500 * time.Microsecond},
		{name: "another process", usec: "3000000", pid: "1"},
		{name: "nonsense", usec: "soon", wantErr: true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Setenv("WATCHDOG_USEC", tt.usec)
			t.Setenv("WATCHDOG_PID", tt.pid)
			got, err := WatchdogInterval()
			if got != tt.want || (err != nil) != tt.wantErr {
				t.Errorf("got %v, %v; want %v, error %v", got, err, tt.want, tt.wantErr)
			}
		})
	}
}

// TestInheritedTwice: of two files of one name the newer is taken, which systemd puts first,
// and the older closed, for it is a connection that would stay open.
func TestInheritedTwice(t *testing.T) {
	if os.Getenv("LISTEN_FDS") != "" {
		files := Inherited()
		if f := files["bgp"]; len(files) != 1 || f == nil || f.Fd() != 3 {
			t.Fatalf("it has %v", files)
		}
		if _, err := unix.FcntlInt(4, unix.F_GETFD, 0); !errors.Is(err, unix.EBADF) {
			t.Fatal("the older is open")
		}
		return
	}
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0" -test.run '^TestInheritedTwice$'`, os.Args[0])
	cmd.Env = append(os.Environ(), "LISTEN_FDS=2", "LISTEN_FDNAMES=bgp:bgp")
	cmd.ExtraFiles = []*os.File{null, null}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}
