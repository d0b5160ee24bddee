package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os/exec"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/vrrp"
)

// fakes are sources of a server that is well, until a test says otherwise.
type fakes struct {
	links    []Link
	files    map[string]string
	commands map[string]string
	units    map[string]Unit
	frames   []Frame
	heardFor time.Duration
	macs     map[netip.Addr][]net.HardwareAddr
	keys     error
	identity health.Identity
	noID     error
	cert     *x509.Certificate
	apiErr   error
	status   int
	body     string
	nodes    string
	agent    control.Status
	noAgent  error

	hidden   map[string]string // why the agent cannot read files
	release  string
	unsynced bool
	late     time.Duration
	policy   string
}

const configPath = "/etc/vipd/vipd.toml"

var (
	ownMAC   = net.HardwareAddr{2, 0, 0, 0, 0, 1}
	peerMAC  = net.HardwareAddr{2, 0, 0, 0, 0, 2}
	otherMAC = net.HardwareAddr{2, 0, 0, 0, 0, 3}
	theVIP   = netip.MustParseAddr("198.51.100.100")
	peerAddr = netip.MustParseAddr("198.51.100.12")
)

const soundConfig = "[[vip]]\nname = \"k3s\"\naddresses = [\"198.51.100.100\"]\nvrid = 51\n"

func healthy() *fakes {
	end := time.Now().Add(365 * 24 * time.Hour)
	return &fakes{
		links: []Link{
			{Index: 1, Name: "lo", Up: true, Carrier: true, Loopback: true, Addrs: prefixes("127.0.0.1/8")},
			{Index: 2, Name: "eth0", Kind: "device", MAC: ownMAC, MTU: 1500, Up: true, Carrier: true, Default: true, Addrs: prefixes("198.51.100.11/24", "2001:db8::11/64", "fe80::11/64")},
		},
		files:    map[string]string{configPath: soundConfig},
		commands: map[string]string{"nft": `{"nftables":[]}`},
		units: map[string]Unit{
			agentUnit:     {LoadState: "loaded", ActiveState: "active", UnitFileState: "enabled", Policy: "rr", MainPID: 7},
			handoverUnit:  {LoadState: "loaded", UnitFileState: "enabled"},
			"k3s.service": {LoadState: "loaded", ExecStart: "{ path=/usr/local/bin/k3s ; argv[]=/usr/local/bin/k3s server --node-ip 198.51.100.11 ; }"},
		},
		frames:   []Frame{advert(51, time.Duration(0), nil, theVIP)},
		macs:     map[netip.Addr][]net.HardwareAddr{theVIP: {peerMAC}},
		identity: health.Identity{CertFile: "client.crt", NotAfter: end},
		cert:     &x509.Certificate{NotAfter: end, IPAddresses: []net.IP{theVIP.AsSlice(), netip.MustParseAddr("2001:db8::100").AsSlice()}},
		status:   http.StatusOK,
		agent: control.Status{Version: "1.0.0", Routers: []control.Router{{
			VIP: "k3s", Family: "IPv4", State: "Backup", Peers: []control.Peer{{Address: peerAddr.String(), LastHeard: time.Now()}},
			Active: &control.Peer{Address: peerAddr.String()},
		}}},
		release: "6.1.0-18-amd64", policy: "rr",
	}
}

func prefixes(list ...string) []netip.Prefix {
	var all []netip.Prefix
	for _, s := range list {
		all = append(all, netip.MustParsePrefix(s))
	}
	return all
}

// advert is what the peer sends: with an interval of 250 ms unless told otherwise.
func advert(vrid uint8, interval time.Duration, signer *vrrp.Signer, addrs ...netip.Addr) Frame {
	if interval == 0 {
		interval = 250 * time.Millisecond
	}
	p := vrrp.Packet{VRID: vrid, Priority: 200, Interval: interval, Addrs: addrs}
	pdu := p.Append(nil, peerAddr, vrrp.IPv4.Group(), vrrp.ChecksumPseudoHeader)
	if signer != nil {
		pdu = signer.Append(pdu, pdu, peerAddr, time.Now())
	}
	return Frame{Link: "eth0", MAC: peerMAC, At: time.Now(), Payload: pdu, Header: vrrp.Header{Src: peerAddr, Dst: vrrp.IPv4.Group(), TTL: vrrp.TTL}}
}

func (f *fakes) sources() Sources {
	return Sources{Network: f, Files: fakeFiles(f.files), Commands: fakeCommands(f.commands), Units: fakeUnits(f.units), Wire: f, Secrets: f, API: f, Agent: fakeAgent{f}, Kernel: f}
}

func (f *fakes) Links() ([]Link, error) { return f.links, nil }

func (f *fakes) Listen(_ context.Context, _ []Link, d time.Duration) ([]Frame, error) {
	f.heardFor = d
	return f.frames, nil
}

func (f *fakes) Claimants(_ context.Context, _ Link, a netip.Addr, _ time.Duration) ([]net.HardwareAddr, error) {
	return f.macs[a], nil
}

func (f *fakes) Keys(*config.Auth) (map[uint8][]byte, error) {
	return map[uint8][]byte{1: []byte(secret)}, f.keys
}

func (f *fakes) Identity(health.Check) (health.Identity, error) { return f.identity, f.noID }

func (f *fakes) Certificate(context.Context, string) (*x509.Certificate, error) {
	return f.cert, f.apiErr
}

func (f *fakes) Get(_ context.Context, _ health.Identity, url string) (int, []byte, error) {
	if strings.Contains(url, "/api/v1/nodes/") {
		return http.StatusOK, []byte(f.nodes), f.apiErr
	}
	return f.status, []byte(f.body), f.apiErr
}

func (f *fakes) Release() (string, error)    { return f.release, nil }
func (f *fakes) Synchronised() (bool, error) { return !f.unsynced, nil }
func (f *fakes) Unreadable(_ context.Context, _ int, path string) (string, error) {
	return f.hidden[path], nil
}
func (f *fakes) Policy(int) (string, error) { return f.policy, nil }
func (f *fakes) Lateness(_ context.Context, policy string) (time.Duration, bool, error) {
	return f.late, isRealTime(policy), nil
}

type fakeAgent struct{ *fakes }

func (a fakeAgent) Process(context.Context) (int, error) { return 7, a.noAgent }

func (a fakeAgent) Status(context.Context) (control.Status, error) { return a.agent, a.noAgent }

type fakeFiles map[string]string

func (f fakeFiles) Read(name string) ([]byte, error) {
	text, ok := f[name]
	if !ok {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
	}
	return []byte(text), nil
}

func (f fakeFiles) Glob(pattern string) []string {
	var list []string
	for name := range f {
		if ok, _ := path.Match(pattern, name); ok {
			list = append(list, name)
		}
	}
	slices.Sort(list)
	return list
}

type fakeCommands map[string]string

func (f fakeCommands) Run(_ context.Context, name string, _ ...string) ([]byte, error) {
	out, ok := f[name]
	if !ok {
		return nil, fmt.Errorf("%s: %w", name, exec.ErrNotFound)
	}
	return []byte(out), nil
}

type fakeUnits map[string]Unit

func (f fakeUnits) Show(_ context.Context, name string) (Unit, error) {
	u, ok := f[name]
	if !ok {
		return Unit{LoadState: "not-found"}, nil
	}
	return u, nil
}

func (f fakeUnits) Match(_ context.Context, pattern string) ([]string, error) {
	return fakeFiles(stringsOf(f)).Glob(pattern), nil
}

func stringsOf(units map[string]Unit) map[string]string {
	all := make(map[string]string)
	for name := range units {
		all[name] = ""
	}
	return all
}

// examine runs all checks.
func (f *fakes) examine(t *testing.T, o Options) Report {
	t.Helper()
	o.Version, o.Node, o.ConfigPath = "1.0.0", "k3s1", configPath
	return Run(t.Context(), o, f.sources())
}

var untrusted = &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}}
