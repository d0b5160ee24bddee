package bgp

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// store keeps files for a service, as systemd does.
type store struct {
	path string
	mu   sync.Mutex
	kept map[string]*os.File
}

func newStore(t *testing.T) *store {
	dir, err := os.MkdirTemp("", "vipd-notify-")
	must(t, err)
	s := &store{path: filepath.Join(dir, "notify"), kept: make(map[string]*os.File)}
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: s.path, Net: "unixgram"})
	must(t, err)
	var reading sync.WaitGroup
	reading.Go(func() { s.read(c) })
	t.Cleanup(func() {
		c.Close()
		reading.Wait()
		must(t, os.RemoveAll(dir))
	})
	return s
}

func (s *store) read(c *net.UnixConn) {
	b, oob := make([]byte, 4096), make([]byte, 4096)
	for {
		n, m, _, _, err := c.ReadMsgUnix(b, oob)
		if err != nil {
			return
		}
		s.take(string(b[:n]), oob[:m])
	}
}

func (s *store) take(message string, oob []byte) {
	_, name, _ := strings.Cut(message, "FDNAME=")
	s.mu.Lock()
	defer s.mu.Unlock()
	if strings.HasPrefix(message, "FDSTOREREMOVE=1") && s.kept[name] != nil {
		s.kept[name].Close()
		delete(s.kept, name)
	}
	list, err := syscall.ParseSocketControlMessage(oob)
	if err != nil {
		return
	}
	for _, x := range list {
		if fds, err := syscall.ParseUnixRights(&x); err == nil && len(fds) == 1 && strings.HasPrefix(message, "FDSTORE=1") {
			s.kept[name] = os.NewFile(uintptr(fds[0]), name)
		}
	}
}

// holds reports whether it keeps so many files.
func (s *store) holds(n int) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.kept) != n {
		return fmt.Errorf("it keeps %d", len(s.kept))
	}
	return nil
}

// launch starts an agent with what is kept.
func (s *store) launch(x *site, n int) *process {
	server := x.Servers[n]
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", binaries(x.t).Vipd, "run", "--config", server.ConfigPath(), "--runtime-dir", server.RuntimeDir())
	cmd.Env = append(os.Environ(), "NOTIFY_SOCKET="+s.path)
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name, f := range s.kept {
		names = append(names, name)
		cmd.ExtraFiles = append(cmd.ExtraFiles, f)
	}
	if len(names) > 0 {
		cmd.Env = append(cmd.Env, fmt.Sprintf("LISTEN_FDS=%d", len(names)), "LISTEN_FDNAMES="+strings.Join(names, ":"))
	}
	return launch(x.t, server.Node, cmd)
}

// TestRestart: the session goes on in the next agent, and nobody notices.
func TestRestart(t *testing.T) {
	each(t, func(t *testing.T, kind string) {
		if kind == "BIRD" {
			t.Run("plain", func(t *testing.T) { restarts(t, kind, setup{}) })
			t.Run("unnumbered", func(t *testing.T) {
				restarts(t, kind, setup{unnumbered: true, session: vrrp.IPv6, more: "families = [\"ipv4\"]\nextended_next_hop = true\n"})
			})
		}
		t.Run("BFD", func(t *testing.T) { restarts(t, kind, setup{bfd: 100 * time.Millisecond}) })
	})
}

func restarts(t *testing.T, kind string, h setup) {
	s := newSite(t, kind, h)
	s.speaks.start()
	for i, x := range s.Servers {
		must(t, x.StartAPI("ready"))
		if i > 0 {
			must(t, x.StartAgent())
		}
	}
	x := s.Servers[0]
	must(t, x.Reconfigure(s.how.config(x)))
	keeps := newStore(t)
	agent := keeps.launch(s, 0)
	s.leads(x)
	if h.bfd > 0 {
		s.until("BFD", func() error {
			if b := s.session(x).BFD; b != "up" {
				return fmt.Errorf("it is %q", b)
			}
			return nil
		})
		wait(t, time.Second) // both ends come to the fast interval
	}
	p := s.watch()
	for range 2 {
		agent.end(syscall.SIGUSR1)
		s.until("the session to be kept", func() error { return keeps.holds(1) })
		agent = keeps.launch(s, 0)
		s.until("the session to go on", func() error { return keeps.holds(0) })
		wait(t, 4*time.Second) // longer than the hold time
		s.leads(x)
		if got := s.session(x); h.bfd > 0 && got.BFD != "up" || got.State != "Established" || got.Counters["established"] != 1 || got.Counters["dropped"] != 0 || got.Routes != 1 {
			t.Fatalf("the session: %+v", got)
		}
	}
	if r := s.report(p); r.Failed > 0 || len(r.Failures) > 0 || len(r.Changes) != 1 {
		t.Errorf("failed %+v, changes %v", r.Failures, r.Changes)
	}
	s.small(agent.cmd.Process.Pid)
	// One that crashes then takes its session with it.
	agent.kill()
	began := time.Now()
	s.leads(s.Servers[1])
	atMost(t, "the move after a crash", time.Since(began), time.Second)
}
