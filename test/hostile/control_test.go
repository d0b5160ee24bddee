package hostile

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// nobody is a user who has nothing to do with the agent.
const nobody = 65534

// Other users get nothing of the control socket, whatever the directory lets them.
func TestOtherUsers(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp(filepath.Dir(binaries.Vipd), "users-") // all may pass through it
	must(t, err)
	must(t, os.Chmod(dir, 0o755))
	c := startIn(t, dir, 1, binaries, plain)
	s := c.Servers[0]
	info, err := os.Stat(control.Socket(s.RuntimeDir()))
	must(t, err)
	if info.Mode() != os.ModeSocket|0o600 || info.Sys().(*syscall.Stat_t).Uid != uint32(os.Getuid()) {
		t.Errorf("the socket is %v, of user %d", info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
	}
	for _, mode := range []os.FileMode{0o700, 0o755} {
		must(t, os.Chmod(s.RuntimeDir(), mode))
		for _, command := range []string{"status", "history", "drain", "resume", "reload"} {
			out, err := asNobody(t, binaries.Vipd, command, "--config", s.ConfigPath(), "--runtime-dir", s.RuntimeDir())
			if err == nil || !strings.Contains(out, "no permission to open") {
				t.Errorf("%s with the directory at %v: %v: %s", command, mode, err, out)
			}
		}
	}
	must(t, is(s, "Active"))
}

func asNobody(t *testing.T, name string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	out, err := cmd.CombinedOutput()
	if strings.Contains(fmt.Sprint(err), "invalid argument") {
		lab.Miss(t, "other users: run it as root")
	}
	return string(out), err
}

// abuse is how clients ill-treat the socket. Each makes one connection and does as it
// likes with it until ctx ends.
var abuse = map[string]func(ctx context.Context, c net.Conn){
	"silent": func(ctx context.Context, _ net.Conn) { <-ctx.Done() },
	"slow": func(ctx context.Context, c net.Conn) {
		for _, b := range []byte("GET /v1/status HTTP/1.1\r\nHost: vipd\r\n\r\n") {
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
			select {
			case <-time.After(time.Second): // its pace
			case <-ctx.Done():
				return
			}
		}
	},
	"never reads": func(ctx context.Context, c net.Conn) {
		for ctx.Err() == nil {
			if _, err := io.WriteString(c, "GET /v1/history HTTP/1.1\r\nHost: vipd\r\n\r\n"); err != nil {
				return
			}
		}
	},
	"huge header": func(ctx context.Context, c net.Conn) { pour(ctx, c, "GET /v1/status HTTP/1.1\r\nX: ") },
	"huge line":   func(ctx context.Context, c net.Conn) { pour(ctx, c, "GET /") },
	"huge body": func(ctx context.Context, c net.Conn) {
		pour(ctx, c, "POST /v1/resume HTTP/1.1\r\nHost: vipd\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 1000000000\r\n\r\n")
	},
	"garbage": func(ctx context.Context, c net.Conn) { pour(ctx, c, "\x16\x03\x01\x02\x00\x01\r\n\r\n") },
}

// pour sends what it is given, and then without end.
func pour(ctx context.Context, c net.Conn, first string) {
	if _, err := io.WriteString(c, first); err != nil {
		return
	}
	for junk := []byte(strings.Repeat("x", 64<<10)); ctx.Err() == nil; {
		if _, err := c.Write(junk); err != nil {
			return
		}
	}
}

const (
	abusers = 1000 // at once
	// The server has 32 connections at a time, each with buffers of some KiB.
	mostDescriptors  = 40
	leastDescriptors = 16      // while they are there
	mostMemory       = 8 << 10 // KiB
)

// A thousand clients that behave badly, each in its own way, take neither memory nor
// descriptors, nor the VIP. Who asks properly meanwhile is answered or told why not,
// and answered again when they are gone.
func TestAbusedSocket(t *testing.T) {
	c := start(t, 2, binaries, plain)
	s := c.Servers[0]
	descriptors, memory := usage(t, s)
	moved := unmoved(t, c)
	p := watch(t, c)
	ctx, stop := context.WithCancel(t.Context())
	var connected atomic.Int64
	ended := abuseAll(ctx, control.Socket(s.RuntimeDir()), &connected)
	// Those whose connection was closed are about to make another.
	crowded := func() error {
		d, _ := usage(t, s)
		if n := connected.Load(); n < abusers*9/10 || d < descriptors+leastDescriptors {
			return fmt.Errorf("%d are connected, and the agent has %d descriptors, %d before", n, d, descriptors)
		}
		return nil
	}
	until(t, "the abusers to be there", crowded)
	out, err := s.Vipd("status")
	if err != nil && !strings.Contains(out, "the agent does not answer on") {
		t.Errorf("vipd status: %v", err)
	}
	d, m := usage(t, s)
	until(t, "the abusers to be there still", crowded)
	t.Logf("vipd status was answered: %v; %d descriptors more, %d KiB more", err == nil, d-descriptors, m-memory)
	if d-descriptors > mostDescriptors || m-memory > mostMemory {
		t.Errorf("that is more than %d descriptors or %d KiB", mostDescriptors, mostMemory)
	}
	stop()
	<-ended
	gone := time.Now()
	until(t, "vipd status to be answered again", func() error { _, err := s.Vipd("status"); return err })
	t.Logf("answered again after %v", time.Since(gone))
	untouched(t, p)
	moved()
	until(t, "the descriptors to be given back", func() error {
		if d, _ := usage(t, s); d > descriptors+2 {
			return fmt.Errorf("%d, were %d", d, descriptors)
		}
		return nil
	})
}

// abuseAll runs the abusers, every other one silent, until ctx ends. Whose connection
// is closed makes another. What it returns is closed when all have ended.
func abuseAll(ctx context.Context, socket string, connected *atomic.Int64) <-chan struct{} {
	ended, all := make(chan struct{}), make(chan struct{}, abusers)
	var kinds []func(context.Context, net.Conn)
	for _, f := range abuse {
		kinds = append(kinds, f)
	}
	for i := range abusers {
		go func() {
			defer func() { all <- struct{}{} }()
			for ctx.Err() == nil {
				if i%2 == 0 {
					abuseOnce(ctx, socket, abuse["silent"], connected)
					continue
				}
				abuseOnce(ctx, socket, kinds[i/2%len(kinds)], connected)
			}
		}()
	}
	go func() {
		defer close(ended)
		for range abusers {
			<-all
		}
	}()
	return ended
}

func abuseOnce(ctx context.Context, socket string, f func(context.Context, net.Conn), connected *atomic.Int64) {
	var d net.Dialer
	c, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return
	}
	defer c.Close()
	connected.Add(1)
	defer connected.Add(-1)
	defer context.AfterFunc(ctx, func() { c.Close() })()
	f(ctx, c)
}

// usage returns how many descriptors and KiB of memory the agent has.
func usage(t *testing.T, s *cluster.Server) (descriptors, kib int) {
	t.Helper()
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", s.AgentPID()))
	must(t, err)
	kib, err = s.AgentMemory("VmRSS")
	must(t, err)
	return len(list), kib
}
