package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/test/standin/apiserver"
)

// Server is one server of a cluster.
type Server struct {
	Name   string
	Number int // from 1
	Node   *lab.Node
	Addr   netip.Addr
	Addr6  netip.Addr

	cluster *Cluster
	dir     string
	agent   *process
	api     *process
}

func (c *Cluster) newServer(i int) (*Server, error) {
	s := &Server{
		Name: fmt.Sprintf("node%d", i), Number: i, cluster: c,
		Addr:  netip.MustParseAddr(fmt.Sprintf("198.51.100.%d", 10+i)),
		Addr6: netip.MustParseAddr(fmt.Sprintf("2001:db8::%d", 10+i)),
	}
	s.dir = filepath.Join(c.opts.Dir, s.Name)
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return nil, fmt.Errorf("%s: make its directory: %w", s.Name, err)
	}
	node, err := c.Lab.Add(s.Name, s.Prefixes()...)
	if err != nil {
		return nil, err
	}
	s.Node = node
	return s, nil
}

func (s *Server) dataDir() string    { return filepath.Join(s.dir, "k3s") }
func (s *Server) runtimeDir() string { return filepath.Join(s.dir, "run") }

// RuntimeDir is where the agent keeps its socket and its state.
func (s *Server) RuntimeDir() string { return s.runtimeDir() }

// Prefixes are the server's own addresses.
func (s *Server) Prefixes() []netip.Prefix {
	return []netip.Prefix{netip.PrefixFrom(s.Addr, 24), netip.PrefixFrom(s.Addr6, 64)}
}

// ConfigPath is where the server's vipd.toml is.
func (s *Server) ConfigPath() string { return filepath.Join(s.dir, "vipd.toml") }

// StartAPI starts the stand-in API server in the given mode and waits until it
// listens.
func (s *Server) StartAPI(mode string) error {
	args := []string{
		"serve", "--name", s.Name, "--data-dir", s.dataDir(), "--ca-dir", s.cluster.caDir(), "--phase", mode,
		"--control", s.controlPath(), "--node-ip", s.Addr.String(), "--san", VIP4.String(), "--san", VIP6.String(),
	}
	for _, vip := range s.cluster.opts.VIPs {
		args = append(args, "--san", vip.String())
	}
	if s.cluster.opts.Plain {
		args = append(args, "--plain", ":6080")
	}
	p, err := s.start(s.cluster.opts.Binaries.Standin, args...)
	if err != nil {
		return err
	}
	s.api = p
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	return Until(ctx, s.Name+"'s API server", func() error {
		_, err := s.API().Mode(ctx)
		return err
	})
}

func (s *Server) controlPath() string { return filepath.Join(s.dir, "api.sock") }

// API controls the stand-in API server.
func (s *Server) API() apiserver.Control { return apiserver.Control{Path: s.controlPath()} }

// SetAPI puts the stand-in API server into a mode.
func (s *Server) SetAPI(ctx context.Context, mode string) error {
	m, err := apiserver.ParseMode(mode)
	if err != nil {
		return err
	}
	_, err = s.API().SetMode(ctx, m)
	return err
}

// StartAgent writes the configuration and starts the agent.
func (s *Server) StartAgent() error {
	command, err := s.cluster.opts.Agent.Prepare(s)
	if err != nil {
		return err
	}
	return s.launch(command)
}

// RestartAgent starts vipd with the configuration that is there.
func (s *Server) RestartAgent() error { return s.launch(s.vipdCommand()) }

// Vipd runs a vipd command on the server and returns what it printed.
func (s *Server) Vipd(args ...string) (string, error) {
	return s.Node.Run(s.cluster.opts.Binaries.Vipd, append(args, "--config", s.ConfigPath(), "--runtime-dir", s.runtimeDir())...)
}

// Reconfigure replaces the configuration file; the agent is not told.
func (s *Server) Reconfigure(text string) error { return s.writeConfig(text) }

// AgentRuns reports whether the agent was started and has not ended.
func (s *Server) AgentRuns() bool { return s.agent.runs() }

// SignalAgent sends a signal to the agent.
func (s *Server) SignalAgent(sig syscall.Signal) error { return s.agent.signal(sig) }

// SignalAPI sends a signal to the API server.
func (s *Server) SignalAPI(sig syscall.Signal) error { return s.api.signal(sig) }

// AwaitAgent waits for the end of the agent and returns how it ended.
func (s *Server) AwaitAgent(ctx context.Context) error { return s.agent.await(ctx) }

// AgentPID returns the process id of the agent.
func (s *Server) AgentPID() int { return s.agent.cmd.Process.Pid }

// Kill ends all that runs on the server at once.
func (s *Server) Kill() error { return errors.Join(s.agent.kill(), s.api.kill()) }

// Die cuts the server off the network and ends all that runs on it, like a loss
// of power.
func (s *Server) Die() error { return errors.Join(s.cluster.Lab.Unplug(s.Node), s.Kill()) }

// Revive undoes Die.
func (s *Server) Revive() error {
	if err := s.cluster.Lab.Plug(s.Node); err != nil {
		return err
	}
	if err := s.StartAPI("ready"); err != nil {
		return err
	}
	return s.StartAgent()
}

// process is a program that runs on a node.
type process struct {
	cmd  *exec.Cmd
	done chan struct{}
	err  error
}

func (s *Server) start(path string, args ...string) (*process, error) {
	cmd := exec.Command(path, args...)
	out := &lines{w: s.cluster.opts.Log, prefix: s.Name + " " + filepath.Base(path) + ": "}
	cmd.Stdout, cmd.Stderr = out, out
	if err := s.Node.Start(cmd); err != nil {
		return nil, fmt.Errorf("%s: start %s: %w", s.Name, filepath.Base(path), err)
	}
	p := &process{cmd: cmd, done: make(chan struct{})}
	go func() {
		defer close(p.done)
		p.err = cmd.Wait()
	}()
	return p, nil
}

func (p *process) runs() bool {
	if p == nil {
		return false
	}
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

func (p *process) signal(sig syscall.Signal) error {
	if !p.runs() {
		return errors.New("the process does not run")
	}
	return p.cmd.Process.Signal(sig)
}

func (p *process) kill() error {
	if !p.runs() {
		return nil
	}
	killTree(p.cmd.Process.Pid)
	<-p.done
	return nil
}

func (p *process) await(ctx context.Context) error {
	select {
	case <-p.done:
		return p.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// lines puts a prefix before each line.
type lines struct {
	mu     sync.Mutex
	w      io.Writer
	prefix string
	rest   []byte
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.rest = append(l.rest, b...)
	for {
		i := bytes.IndexByte(l.rest, '\n')
		if i < 0 {
			return len(b), nil
		}
		if _, err := fmt.Fprintf(l.w, "%s%s\n", l.prefix, l.rest[:i]); err != nil {
			return 0, err
		}
		l.rest = l.rest[i+1:]
	}
}
