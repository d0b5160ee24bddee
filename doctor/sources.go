package doctor

import (
	"context"
	"crypto/x509"
	"net"
	"net/netip"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vrrp"
)

// Sources are where evidence comes from.
type Sources struct {
	Network  Network
	Files    Files
	Commands Commands
	Units    Units
	Wire     Wire
	Secrets  Secrets
	API      API
	Agent    Agent
	Kernel   Kernel
}

// Network tells of the host's interfaces.
type Network interface {
	Links() ([]Link, error)
}

// Link is an interface.
type Link struct {
	Index    int
	Name     string
	Kind     string // bridge, vxlan, ...; device for hardware
	MAC      net.HardwareAddr
	MTU      int
	Up       bool // as the administrator set it
	Carrier  bool
	Loopback bool
	Bridge   string // that it is a port of, or that it is; "" for none
	Addrs    []netip.Prefix
	Local    netip.Addr // from which a tunnel sends
	Default  bool       // the IPv4 default route leads through it
}

// Files reads files, among them /proc and /sys.
type Files interface {
	Read(path string) ([]byte, error)
	Glob(pattern string) []string
}

// Commands runs programs that only print.
type Commands interface {
	// Run returns what the program printed; exec.ErrNotFound if there is none.
	Run(ctx context.Context, name string, args ...string) ([]byte, error)
}

// Units asks systemd. Its errors mean that there is none.
type Units interface {
	Show(ctx context.Context, unit string) (Unit, error)
	Match(ctx context.Context, pattern string) ([]string, error)
}

// Unit is what systemd knows of a unit, in its words.
type Unit struct {
	Name, LoadState, ActiveState, UnitFileState, Result string
	ExecStart, Policy                                   string
	Path                                                string // of its file
	ExitStatus, MainPID                                 int
	DropIns                                             []string
	Given                                               map[string]string // of givenProperties, those that systemctl show has
}

// Wire listens and asks, without side effects.
type Wire interface {
	// Listen returns the VRRP packets of others that come in on the interfaces.
	Listen(ctx context.Context, links []Link, d time.Duration) ([]Frame, error)
	// Claimants returns everybody who answers for an address within d.
	Claimants(ctx context.Context, link Link, addr netip.Addr, d time.Duration) ([]net.HardwareAddr, error)
}

// Frame is a VRRP packet as it came in.
type Frame struct {
	Link    string
	MAC     net.HardwareAddr
	Header  vrrp.Header
	Payload []byte
	At      time.Time
}

// Secrets opens keys and credentials, and shows none of their bytes.
type Secrets interface {
	Keys(a *config.Auth) (map[uint8][]byte, error)
	Identity(c health.Check) (health.Identity, error)
}

// API asks the API server.
type API interface {
	// Certificate returns what the server at a URL presents, trusted or not.
	Certificate(ctx context.Context, url string) (*x509.Certificate, error)
	// Get asks with an identity.
	Get(ctx context.Context, id health.Identity, url string) (status int, body []byte, err error)
}

// Agent asks the agent.
type Agent interface {
	Status(ctx context.Context) (control.Status, error)
	// Process is the agent's process id.
	Process(ctx context.Context) (int, error)
}

// Kernel asks the kernel about time and processes.
type Kernel interface {
	// Release is the kernel's, as "6.1.0-18-amd64".
	Release() (string, error)
	// Synchronised tells whether something keeps the wall clock right.
	Synchronised() (bool, error)
	// Lateness is by how much a timer was late at worst, scheduled by a policy, or
	// without real-time scheduling where that is refused.
	Lateness(ctx context.Context, policy string) (worst time.Duration, realTime bool, err error)
	// Policy is the scheduling policy of a process: rr, fifo, other, ...
	Policy(pid int) (string, error)
	// Unreadable says why a process cannot read a file; empty: it can.
	Unreadable(ctx context.Context, pid int, path string) (string, error)
}
