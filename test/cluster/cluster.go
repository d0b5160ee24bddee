package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/lab"
)

// The addresses of a cluster.
var (
	VIP4 = netip.MustParseAddr("198.51.100.100")
	VIP6 = netip.MustParseAddr("2001:db8::100")
)

// Options say what a cluster is made of.
type Options struct {
	Binaries Binaries
	Dir      string // for configurations, sockets and certificates
	Servers  int
	// Config returns the vipd.toml of a server; nil: DefaultConfig.
	Config func(s *Server) string
	// Agent is what the servers run; nil: vipd. Status, Settled and Holder ask vipd alone.
	Agent Agent
	// Launcher is put before the command of an agent, such as RealTime.
	Launcher []string
	// Log takes what the programs say, each line behind the name of its server.
	Log io.Writer
	// VIPs are those that clients ask besides VIP4 and VIP6.
	VIPs []netip.Addr
	// Plain lets clients use a port without TLS, which costs less.
	Plain bool
}

// Cluster is a number of servers and a client on one segment.
type Cluster struct {
	Lab     *lab.Lab
	Servers []*Server
	Client  *lab.Node
	opts    Options
}

// New makes a cluster in which nothing runs yet.
func New(l *lab.Lab, o Options) (*Cluster, error) {
	if o.Log == nil {
		o.Log = io.Discard
	}
	if o.Config == nil {
		o.Config = DefaultConfig
	}
	if o.Agent == nil {
		o.Agent = vipd{}
	}
	c := &Cluster{Lab: l, opts: o}
	for i := 1; i <= o.Servers; i++ {
		s, err := c.newServer(i)
		if err != nil {
			return nil, errors.Join(err, c.Close())
		}
		c.Servers = append(c.Servers, s)
	}
	node, err := l.Add("client", netip.MustParsePrefix("198.51.100.1/24"), netip.MustParsePrefix("2001:db8::1/64"))
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	c.Client = node
	return c, nil
}

// Close kills all that runs.
func (c *Cluster) Close() error {
	var errs []error
	for _, s := range c.Servers {
		errs = append(errs, s.Kill())
	}
	return errors.Join(errs...)
}

// Start starts every API server and every agent, and waits until each agent has seen
// its server ready, for only then it takes part in what comes, and one holds the VIPs.
func (c *Cluster) Start(ctx context.Context) error {
	for _, s := range c.Servers {
		if err := s.StartAPI("ready"); err != nil {
			return err
		}
	}
	for _, s := range c.Servers {
		if err := s.StartAgent(); err != nil {
			return err
		}
	}
	if err := c.Graded(ctx, "ready"); err != nil {
		return err
	}
	return c.Settled(ctx)
}

// Graded waits until every agent gives its API server this grade.
func (c *Cluster) Graded(ctx context.Context, grade string) error {
	return Until(ctx, "all to be "+grade, func() error {
		for _, s := range c.Servers {
			st, err := s.Status(ctx)
			if err != nil {
				return err
			}
			if st.Health.Grade != grade {
				return fmt.Errorf("%s is %s", s.Name, st.Health.Grade)
			}
		}
		return nil
	})
}

// Settled waits until every virtual router has exactly one Active that holds
// its addresses, and all other agents are its Backups.
func (c *Cluster) Settled(ctx context.Context) error {
	return Until(ctx, "the cluster to settle", func() error { return c.settled(ctx) })
}

func (c *Cluster) settled(ctx context.Context) error {
	all := make(map[string]control.Status)
	for _, s := range c.Servers {
		if !s.AgentRuns() {
			continue
		}
		st, err := s.Status(ctx)
		if err != nil {
			return err
		}
		all[s.Name] = st
	}
	return Settled(all)
}

// Settled checks that of the agents with these states, by name, exactly one is Active
// for each virtual router and holds its addresses, and all others are its Backups.
func Settled(all map[string]control.Status) error {
	type router struct{ vip, family string }
	active := make(map[router]string)
	for name, st := range all {
		for _, r := range st.Routers {
			k := router{r.VIP, r.Family}
			switch {
			case r.State == "Initialize":
				return fmt.Errorf("%s is in Initialize: %v", name, r.Problems)
			case r.State == "Backup" && (r.Holding || r.Active == nil):
				return fmt.Errorf("%s is no settled Backup", name)
			case r.State == "Active" && active[k] != "":
				return fmt.Errorf("%s and %s are both Active", name, active[k])
			case r.State == "Active" && !r.Holding:
				return fmt.Errorf("%s is Active and holds nothing", name)
			case r.State == "Active":
				active[k] = name
			}
			if _, ok := active[k]; !ok {
				active[k] = ""
			}
		}
	}
	for k, who := range active {
		if who == "" {
			return fmt.Errorf("nobody holds %s %s", k.vip, k.family)
		}
	}
	if len(active) == 0 && len(all) > 0 {
		return errors.New("no virtual routers yet")
	}
	return nil
}

// Holder returns the server that is Active for the first virtual router.
func (c *Cluster) Holder(ctx context.Context) (*Server, error) {
	for _, s := range c.Servers {
		if !s.AgentRuns() {
			continue
		}
		st, err := s.Status(ctx)
		if err != nil {
			return nil, err
		}
		if len(st.Routers) > 0 && st.Routers[0].State == "Active" {
			return s, nil
		}
	}
	return nil, errors.New("no server is Active")
}

// Probe starts a client that asks the VIP all the time.
func (c *Cluster) Probe(ctx context.Context, vip netip.Addr, interval time.Duration) (*probe.Process, error) {
	cfg := probe.Config{Address: netip.AddrPortFrom(vip, 6443).String(), CAFile: c.caFile(), Interval: interval, Idle: true}
	if c.opts.Plain {
		cfg.Address, cfg.CAFile = netip.AddrPortFrom(vip, 6080).String(), ""
	}
	return probe.Start(ctx, c.Client, c.opts.Binaries.Client, cfg)
}

func (c *Cluster) caDir() string  { return filepath.Join(c.opts.Dir, "ca") }
func (c *Cluster) caFile() string { return filepath.Join(c.caDir(), "server-ca.crt") }

// Until calls check until it returns nil, and gives up with its last error when
// ctx ends.
func Until(ctx context.Context, what string, check func() error) error {
	return UntilEvery(ctx, 5*time.Millisecond, what, check)
}

// UntilEvery is Until for a check that costs too much to be made all the time.
func UntilEvery(ctx context.Context, interval time.Duration, what string, check func() error) error {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		err := check()
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for %s: %w", what, err)
		}
	}
}

// DefaultConfig is one IPv4 VIP with everything at its default. Priorities are
// given by host, in falling order.
func DefaultConfig(s *Server) string {
	return s.CheckConfig() + fmt.Sprintf(`
[[vip]]
name = "k3s"
addresses = [%q]
vrid = 51
priority = %d
`, VIP4, s.Priority())
}

// Priority is the server's: 250 for the first, ten less for each that follows.
func (s *Server) Priority() int { return 260 - 10*s.Number }

// CheckConfig is the table of the K3s probe with the paths of the server.
func (s *Server) CheckConfig() string {
	return fmt.Sprintf("[[check]]\ntype = \"k3s\"\ndata_dir = %q\nunit = \"\"\n", s.dataDir())
}

// Status asks a server's agent.
func (s *Server) Status(ctx context.Context) (control.Status, error) {
	return control.NewClient(control.Socket(s.runtimeDir())).Status(ctx)
}

// Agent returns a client of the server's agent.
func (s *Server) Agent() *control.Client { return control.NewClient(control.Socket(s.runtimeDir())) }

// writeConfig writes the server's vipd.toml.
func (s *Server) writeConfig(text string) error {
	if err := os.WriteFile(s.ConfigPath(), []byte(text), 0o644); err != nil {
		return fmt.Errorf("%s: write its configuration: %w", s.Name, err)
	}
	return nil
}
