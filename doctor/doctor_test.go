package doctor

import (
	"context"
	"errors"
	"io/fs"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/k3s"
	"github.com/vipd/vipd/vrrp"
)

const (
	listen = time.Second
	secret = "0123456789abcdef0123456789abcdef"

	soundConfig6 = "[[vip]]\nname = \"k3s\"\naddresses = [\"2001:db8::100\"]\nvrid = 51\n"
	authConfig   = soundConfig + "[auth]\nactive_key = 1\nkeys = [{ id = 1, file = \"/etc/vipd/keys/1\" }]\n"
)

// unit changes a unit of the fakes.
func (f *fakes) unit(name string, change func(*Unit)) {
	u := f.units[name]
	change(&u)
	f.units[name] = u
}

// router is the agent's only virtual router.
func (f *fakes) router() *control.Router { return &f.agent.Routers[0] }

func (f *fakes) eth0() *Link { return &f.links[1] }

func signer() *vrrp.Signer {
	return vrrp.NewSigner(vrrp.Key{ID: 1, Secret: []byte(secret)}, vrrp.ReplayTime, 5*time.Second)
}

// late is an advertisement whose sender's clock is off.
func late(by time.Duration) Frame {
	f := advert(51, 0, signer(), theVIP)
	f.At = f.At.Add(by)
	return f
}

func version2() Frame {
	f := advert(51, 0, nil, theVIP)
	f.Payload[0] = 2<<4 | 1
	return f
}

func checksum(k vrrp.ChecksumKind) Frame {
	f := advert(51, 0, nil, theVIP)
	p := vrrp.Packet{VRID: 51, Priority: 200, Interval: 250 * time.Millisecond, Addrs: []netip.Addr{theVIP}}
	f.Payload = p.Append(nil, peerAddr, vrrp.IPv4.Group(), k)
	return f
}

// each makes a fault for every kind of finding, by its id.
func each() map[string]func(f *fakes) {
	return map[string]func(f *fakes){
		"config-unusable": func(f *fakes) { f.files[configPath] = "[[vip]]\nvrid = 0\n" },
		"agent-down":      func(f *fakes) { f.noAgent = errors.New("the agent is not running") },
		"agent-reports":   func(f *fakes) { f.router().Problems = []string{"it stutters"} },

		"bgp-session-down": func(f *fakes) {
			routed(f)
			f.agent.Sessions[0] = control.Session{Peer: "198.51.100.2", AS: 64600, State: "Idle", Problem: "it expects another AS"}
		},
		"bgp-family-missing": func(f *fakes) { routed(f); f.agent.Sessions[0].Routes = 0 },
		"bgp-vip-in-subnet": func(f *fakes) {
			routed(f)
			f.eth0().Addrs = append(f.eth0().Addrs, prefixes("203.0.113.1/24")...)
		},
		"bgp-no-way-back": func(f *fakes) { routed(f); f.eth0().Default = false },

		"interface-missing":    func(f *fakes) { f.files[configPath] = soundConfig + "interface = \"eth9\"\n" },
		"interface-down":       func(f *fakes) { f.eth0().Carrier = false },
		"interface-no-address": func(f *fakes) { f.files[configPath] = soundConfig6; f.eth0().Addrs = prefixes("2001:db8::11/64") },
		"mtu-too-small":        func(f *fakes) { f.files[configPath] = soundConfig6; f.eth0().MTU = 1200 },
		"ipv6-disabled": func(f *fakes) {
			f.files[configPath] = soundConfig6
			f.files["/proc/sys/net/ipv6/conf/eth0/disable_ipv6"] = "1\n"
		},
		"snooping-without-querier": func(f *fakes) {
			f.files[configPath] = soundConfig6
			f.eth0().Bridge = "br0"
			f.commands["ip"] = `[{"linkinfo":{"info_kind":"bridge","info_data":{"mcast_snooping":1,"mcast_querier":0}}}]`
		},
		"firewall-drops": func(f *fakes) { f.commands["nft"] = dropAll },
		"rp-filter-strict": func(f *fakes) {
			f.files["/proc/sys/net/ipv4/conf/all/rp_filter"] = "1"
			f.eth0().Default = false
			f.links = append(f.links, Link{Index: 3, Name: "eth1", Up: true, Default: true})
		},
		"arp-ignore":   func(f *fakes) { f.files["/proc/sys/net/ipv4/conf/eth0/arp_ignore"] = "8" },
		"arp-filter":   func(f *fakes) { f.twin(); f.files["/proc/sys/net/ipv4/conf/all/arp_filter"] = "1" },
		"arp-announce": func(f *fakes) { f.twin(); f.files["/proc/sys/net/ipv4/conf/eth0/arp_announce"] = "0" },
		"networkd-drops-addresses": func(f *fakes) {
			f.files["/run/systemd/netif/links/2"] = "ADMIN_STATE=configured\nNETWORK_FILE=/etc/systemd/network/eth0.network\n"
			f.files["/etc/systemd/network/eth0.network"] = "[Network]\nKeepConfiguration=dhcp\n"
		},
		"networkmanager-drops-addresses": func(f *fakes) { f.files["/run/NetworkManager/devices/2"] = "[device]\nmanaged=true\n" },

		"vip-elsewhere":         func(f *fakes) { f.macs[theVIP] = []net.HardwareAddr{peerMAC, otherMAC} },
		"vrid-stranger":         func(f *fakes) { f.frames = []Frame{advert(51, 0, nil, netip.MustParseAddr("203.0.113.7"))} },
		"vrid-differs":          func(f *fakes) { f.frames = append(f.frames, advert(52, 0, nil, theVIP)) },
		"no-advertisement":      func(f *fakes) { f.frames = nil },
		"peers-unheard":         func(f *fakes) { f.frames, f.router().State, f.router().Peers = nil, "Active", nil },
		"peer-filtered":         func(f *fakes) { f.router().Peers = nil },
		"peer-version-2":        func(f *fakes) { f.frames = []Frame{version2()} },
		"peer-addresses-differ": func(f *fakes) { f.frames = []Frame{advert(51, 0, nil, theVIP, peerAddr)} },
		"peer-interval-differs": func(f *fakes) { f.frames = []Frame{advert(51, time.Second, nil, theVIP)} },
		"peer-checksum-differs": func(f *fakes) { f.frames = []Frame{checksum(vrrp.ChecksumRFC9568)} },
		"peer-auth-differs":     func(f *fakes) { f.files[configPath] = authConfig },
		"peer-refused":          func(f *fakes) { f.frames[0].Header.TTL = 64 },
		"clock-offset":          func(f *fakes) { f.files[configPath] = authConfig; f.frames = []Frame{late(time.Minute)} },

		"credentials-missing":    func(f *fakes) { f.noID = &fs.PathError{Op: "open", Path: "client.crt", Err: fs.ErrNotExist} },
		"credentials-unreadable": func(f *fakes) { f.noID = &fs.PathError{Op: "open", Path: "client.crt", Err: fs.ErrPermission} },
		"credentials-expired":    func(f *fakes) { f.identity.NotAfter = time.Now().Add(-time.Hour) },
		"credentials-expiring":   func(f *fakes) { f.identity.NotAfter = time.Now().Add(time.Hour) },
		"auth-key-unusable": func(f *fakes) {
			f.files[configPath] = authConfig
			f.keys = errors.New("reading key 1: it is too short")
		},
		"api-unreachable":       func(f *fakes) { f.apiErr = syscall.ECONNREFUSED },
		"api-untrusted":         func(f *fakes) { f.apiErr = untrusted },
		"api-unauthorized":      func(f *fakes) { f.status = 401 },
		"api-forbidden":         func(f *fakes) { f.status = 403 },
		"api-unready":           func(f *fakes) { f.status, f.body = 503, "[+]ping ok\n[-]etcd failed: reason withheld\n" },
		"certificate-lacks-vip": func(f *fakes) { f.cert.IPAddresses = nil },
		"certificate-expiring":  func(f *fakes) { f.cert.NotAfter = time.Now().Add(time.Hour) },
		"node-ip-is-vip": func(f *fakes) {
			f.files["/etc/rancher/k3s/config.yaml.d/10.yaml"] = "node-ip:\n- 198.51.100.11\n- 198.51.100.100\n"
		},
		"node-took-vip": func(f *fakes) {
			f.nodes = `{"metadata":{"annotations":{"flannel.alpha.coreos.com/public-ip":"198.51.100.100"}}}`
		},
		"flannel-took-vip": func(f *fakes) {
			f.links = append(f.links, Link{Index: 9, Name: "flannel.1", Kind: "vxlan", Up: true, Local: theVIP})
		},

		"clock-unsynchronised":   func(f *fakes) { f.unsynced = true },
		"unit-missing":           func(f *fakes) { delete(f.units, agentUnit) },
		"unit-disabled":          func(f *fakes) { f.unit(agentUnit, func(u *Unit) { u.UnitFileState = "disabled" }) },
		"unit-failed":            func(f *fakes) { f.unit(agentUnit, func(u *Unit) { u.ActiveState, u.ExitStatus = "failed", 78 }) },
		"realtime-refused":       func(f *fakes) { f.policy = "other" },
		"dropin-lowers-priority": func(f *fakes) { f.unit(agentUnit, func(u *Unit) { u.Policy, u.DropIns = "other", []string{"x.conf"} }) },
		"handover-disabled":      func(f *fakes) { f.unit(handoverUnit, func(u *Unit) { u.UnitFileState = "disabled" }) },
		"unit-named-k3s": func(f *fakes) {
			f.units["k3s-vip.service"] = Unit{LoadState: "loaded", Path: "/etc/systemd/system/k3s-vip.service", ExecStart: "{ path=/usr/bin/vipd ; argv[]=/usr/bin/vipd run ; }"}
		},
		"unit-strange-k3s": func(f *fakes) {
			f.units["k3s-backup.service"] = Unit{LoadState: "loaded", ExecStart: "{ path=/usr/bin/rsync ; argv[]=/usr/bin/rsync ; }"}
		},
		"timer-late":      func(f *fakes) { f.late = 200 * time.Millisecond },
		"version-differs": func(f *fakes) { f.agent.Version = "0.9.0" },
		"kernel-old":      func(f *fakes) { f.release = "4.19.0-26" },
	}
}

// twin adds an interface in the same subnet, and names the right one.
func (f *fakes) twin() {
	f.files[configPath] = soundConfig + "interface = \"eth0\"\n"
	f.links = append(f.links, Link{Index: 3, Name: "eth1", Up: true, Addrs: prefixes("198.51.100.99/24")})
	f.files["/proc/sys/net/ipv4/conf/eth0/arp_announce"] = "2"
}

// dropAll is a ruleset that lets nothing in but ssh.
const dropAll = `{"nftables":[{"metainfo":{}},{"table":{"family":"inet","name":"filter"}},
{"chain":{"family":"inet","table":"filter","name":"input","hook":"input","type":"filter","prio":0,"policy":"drop"}},
{"rule":{"family":"inet","table":"filter","chain":"input","handle":4,"expr":[{"match":{"op":"==","left":{"payload":{"protocol":"tcp","field":"dport"}},"right":22}},{"accept":null}]}}]}`

func TestSound(t *testing.T) {
	r := healthy().examine(t, Options{Listen: listen, Root: true})
	for _, f := range r.Findings {
		if f.Severity != OK {
			t.Errorf("%+v", f)
		}
	}
	if len(r.LeftOut) > 0 || len(r.Findings) != len(checks()) {
		t.Errorf("%d findings, left out: %+v", len(r.Findings), r.LeftOut)
	}
}

// Each kind of finding is found when its fault is made.
func TestEach(t *testing.T) {
	for _, k := range Kinds() {
		t.Run(k.ID, func(t *testing.T) {
			make, ok := each()[k.ID]
			if !ok {
				t.Fatal("no test makes it")
			}
			f := healthy()
			make(f)
			r := f.examine(t, Options{Listen: listen, Root: true})
			i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == k.ID })
			if i < 0 {
				t.Fatalf("not found: %+v, left out: %+v", r.Findings, r.LeftOut)
			}
			got := r.Findings[i]
			if got.Severity != k.Severity || got.Subject == "" || got.Evidence == "" {
				t.Errorf("%+v", got)
			}
			if got.Remedy == "" {
				t.Error("no remedy")
			}
			if strings.ContainsAny(got.Evidence+got.Remedy+got.Subject, "\n") {
				t.Errorf("more than a line: %q", got)
			}
			if strings.Contains(got.Evidence+got.Remedy, secret) {
				t.Errorf("a secret: %q", got)
			}
		})
	}
	for id := range each() {
		if !slices.ContainsFunc(Kinds(), func(k Kind) bool { return k.ID == id }) {
			t.Errorf("there is no kind %s", id)
		}
	}
}

// Kinds belong to checks that there are, and are known by one name.
func TestKinds(t *testing.T) {
	seen := make(map[string]bool)
	for _, k := range Kinds() {
		if seen[k.ID] || k.Means == "" || k.How == "" || k.Remedy == "" || k.Severity == OK {
			t.Errorf("%+v", k)
		}
		seen[k.ID] = true
		if !slices.ContainsFunc(checks(), func(c check) bool { return c.name == k.Check }) {
			t.Errorf("%s: there is no check %s", k.ID, k.Check)
		}
	}
}

// What the agent has heard of a peer long ago does not hide that it hears no more.
func TestFilteredLater(t *testing.T) {
	f := healthy()
	f.router().Peers[0].LastHeard = time.Now().Add(-time.Hour)
	if r := f.examine(t, Options{Listen: listen, Root: true}); !r.has("peer-filtered") {
		t.Errorf("%+v", r.Findings)
	}
}

func (r Report) has(id string) bool {
	return slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.ID == id })
}

// The unit's command line says as much as the files do.
func TestNodeIPOnTheCommandLine(t *testing.T) {
	for flags, want := range map[string]bool{
		"--node-ip " + theVIP.String():                       true,
		"--bind-address=" + theVIP.String():                  true,
		"--node-ip 198.51.100.11," + theVIP.String():         true,
		"--tls-san " + theVIP.String():                       false,
		"--cluster-init --tls-san " + theVIP.String() + " x": false,
	} {
		f := healthy()
		f.units["k3s.service"] = Unit{LoadState: "loaded", ExecStart: "{ path=/usr/local/bin/k3s ; argv[]=/usr/local/bin/k3s server " + flags + " ; }"}
		if r := f.examine(t, Options{Listen: listen, Root: true}); r.has("node-ip-is-vip") != want {
			t.Errorf("%s: %+v", flags, r.Findings)
		}
	}
}

// What is enabled until the next boot alone is not enabled.
func TestEnabledForThisBoot(t *testing.T) {
	f := healthy()
	f.unit(agentUnit, func(u *Unit) { u.UnitFileState = "enabled-runtime" })
	f.unit(handoverUnit, func(u *Unit) { u.UnitFileState = "enabled-runtime" })
	if r := f.examine(t, Options{Listen: listen, Root: true}); !r.has("unit-disabled") || !r.has("handover-disabled") {
		t.Errorf("%+v", r.Findings)
	}
}

// systemctl prints policies by number.
func TestPolicyByName(t *testing.T) {
	f := healthy()
	f.unit(agentUnit, func(u *Unit) { u.Policy, u.DropIns = "0", []string{"x.conf"} })
	r := f.examine(t, Options{Listen: listen, Root: true})
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == "dropin-lowers-priority" })
	if i < 0 || r.Findings[i].Evidence != "CPUSchedulingPolicy is other, by x.conf" {
		t.Errorf("%+v", r.Findings)
	}
}

// An interface without a carrier may have lost the address that tells it is meant.
func TestNoCarrierNoAddress(t *testing.T) {
	f := healthy()
	f.eth0().Carrier, f.eth0().Addrs = false, nil
	if r := f.examine(t, Options{Listen: listen, Root: true}); !r.has("interface-down") || r.has("interface-missing") {
		t.Errorf("%+v", r.Findings)
	}
}

// Two of a group that do not hear each other are told apart from a thief.
func TestTwoHolders(t *testing.T) {
	f := healthy()
	f.eth0().Addrs = append(f.eth0().Addrs, netip.PrefixFrom(theVIP, 32))
	r := f.examine(t, Options{Listen: listen, Root: true})
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == "vip-elsewhere" })
	if i < 0 || !strings.Contains(r.Findings[i].Remedy, "protocol 112") {
		t.Errorf("%+v", r.Findings)
	}
}

// The command that adds an address to the certificate keeps those that it has.
func TestCertificateKeepsItsNames(t *testing.T) {
	f := healthy()
	f.files[configPath] = strings.Replace(soundConfig, `"]`, `", "198.51.100.101"]`, 1)
	f.files[k3s.DropIn] = "tls-san+:\n- k3s.example\n"
	r := f.examine(t, Options{Listen: listen, Root: true})
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == "certificate-lacks-vip" })
	if i < 0 || !strings.HasSuffix(r.Findings[i].Evidence, "does not name 198.51.100.101") ||
		!strings.Contains(r.Findings[i].Remedy, `'tls-san+:\n- "k3s.example"\n- "198.51.100.100"\n- "198.51.100.101"\n'`) {
		t.Errorf("%+v", r.Findings)
	}
}

// What root can read and the agent cannot is found, and asked of each file.
func TestUnreadableForTheAgent(t *testing.T) {
	for _, path := range []string{"/k3s/tls/client-ca.crt", "/k3s/tls/client.crt", "/k3s/tls/client.key", "/etc/vipd/keys/1"} {
		f := healthy()
		f.files[configPath], f.frames = authConfig, []Frame{signedBy(1, secret)}
		f.identity.CAFile, f.identity.CertFile = "/k3s/tls/client-ca.crt", "/k3s/tls/client.crt"
		f.hidden = map[string]string{path: "Permission denied"}
		id := "credentials-unreadable"
		if strings.Contains(path, "/keys/") {
			id = "auth-key-unusable"
		}
		r := f.examine(t, Options{Listen: listen, Root: true})
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == id })
		if i < 0 || !strings.Contains(r.Findings[i].Evidence, path+", and the agent cannot (process 7): Permission denied") {
			t.Errorf("%s: %+v", path, r.Findings)
		}
	}
}

// Of a key that is not there it is not said that root can read it.
func TestMissingKey(t *testing.T) {
	f := healthy()
	f.files[configPath] = authConfig
	f.keys = &fs.PathError{Op: "open", Path: "/etc/vipd/keys/1", Err: fs.ErrNotExist}
	f.hidden = map[string]string{"/etc/vipd/keys/1": "No such file or directory"}
	r := f.examine(t, Options{Listen: listen, Root: true})
	var said []string
	for _, f := range r.Findings {
		if f.ID == "auth-key-unusable" {
			said = append(said, f.Evidence)
		}
	}
	if !slices.Equal(said, []string{f.keys.Error()}) {
		t.Errorf("%q", said)
	}
}

// The Active of a cluster that has just been set up has heard nobody, which is as it should be.
func TestActiveFromTheStart(t *testing.T) {
	f := healthy()
	f.files[configPath] = soundConfig + "peers = [\"198.51.100.12\"]\n"
	f.frames = nil
	f.router().State, f.router().Peers, f.router().Problems = "Active", nil, []string{control.NeverHeard + ": run vipd doctor on another"}
	if r := f.examine(t, Options{Listen: listen, Root: true}); r.has("agent-reports") || !r.has("peers-unheard") {
		t.Errorf("%+v", r.Findings)
	}
}

// Timers are measured as the agent is scheduled, not as it ought to be.
func TestTimersOfTheAgent(t *testing.T) {
	for policy, how := range map[string]string{"rr": "with real-time", "other": "without real-time"} {
		f := healthy()
		f.late, f.policy = 200*time.Millisecond, policy
		r := f.examine(t, Options{Listen: listen, Root: true})
		i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == "timer-late" })
		if i < 0 || !strings.Contains(r.Findings[i].Evidence, " "+how) {
			t.Errorf("%s: %+v", policy, r.Findings)
		}
	}
}

// An API server that hangs is told of in words.
func TestHangs(t *testing.T) {
	f := healthy()
	f.apiErr = &url.Error{Op: "Get", URL: "https://127.0.0.1:6443", Err: context.DeadlineExceeded}
	r := f.examine(t, Options{Listen: listen, Root: true})
	i := slices.IndexFunc(r.Findings, func(f Finding) bool { return f.ID == "api-unreachable" })
	if i < 0 || r.Findings[i].Evidence != "no answer within 4s" {
		t.Errorf("%+v", r.Findings)
	}
}

// The Active's own answer is no conflict, however it is known.
func TestActiveAnswers(t *testing.T) {
	virtual := vrrp.VirtualMAC(vrrp.IPv4, 51)
	for name, change := range map[string]func(*fakes){
		"by its advertisements": func(f *fakes) { f.noAgent = errors.New("down") },
		"by the agent": func(f *fakes) {
			f.frames = nil
			f.macs[peerAddr] = []net.HardwareAddr{peerMAC}
		},
		"by its virtual MAC": func(f *fakes) {
			f.frames, f.noAgent = nil, errors.New("down")
			f.macs[theVIP] = []net.HardwareAddr{virtual[:]}
		},
	} {
		f := healthy()
		change(f)
		r := f.examine(t, Options{Listen: listen, Root: true})
		if slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.ID == "vip-elsewhere" }) {
			t.Errorf("%s: %+v", name, r.Findings)
		}
	}
}

// Who cannot know the Active takes nobody for a thief.
func TestActiveUnknown(t *testing.T) {
	f := healthy()
	f.noAgent = errors.New("down")
	r := f.examine(t, Options{Root: true})
	left := func(s Skipped) bool { return s.Check == "address" && strings.Contains(s.Why, "listen") }
	if r.has("vip-elsewhere") || !slices.ContainsFunc(r.LeftOut, left) {
		t.Errorf("%+v, left out %+v", r.Findings, r.LeftOut)
	}
}

// Without root some checks are left out, and say so; the others are made.
func TestNotRoot(t *testing.T) {
	f := healthy()
	f.cert.IPAddresses = nil
	f.noAgent = errors.New("no permission to open it: run the command as root")
	r := f.examine(t, Options{Listen: listen})
	var left []string
	for _, s := range r.LeftOut {
		left = append(left, s.Check)
		if !strings.Contains(s.Why, "root") {
			t.Errorf("%+v", s)
		}
	}
	want := []string{"address", "agent", "api", "credentials", "firewall", "node-address", "timer", "wire"}
	if !slices.Equal(left, want) {
		t.Errorf("left out %v, want %v", left, want)
	}
	if !r.Failed() {
		t.Error("the certificate was not looked at")
	}
}

// Without a configuration the checks that need none are made.
func TestNoConfig(t *testing.T) {
	f := healthy()
	delete(f.files, configPath)
	f.unsynced = true
	r := f.examine(t, Options{Listen: listen, Root: true})
	var ids []string
	for _, f := range r.Findings {
		if f.Severity != OK {
			ids = append(ids, f.ID)
		}
	}
	if !slices.Equal(ids, []string{"config-unusable", "clock-unsynchronised"}) {
		t.Errorf("%v; left out: %+v", ids, r.LeftOut)
	}
}

func TestText(t *testing.T) {
	r := Report{Node: "k3s1", Findings: []Finding{
		{"timer", OK, "timer", "punctual", ""}, {"clock-unsynchronised", Warning, "clock", "free", "set it"}, {"agent-down", Error, "agent", "down", ""},
	}, LeftOut: []Skipped{{"wire", "needs root"}}}
	r.sort()
	const want = `error    agent: down [agent-down]
warning  clock: free; set it [clock-unsynchronised]
-        wire: needs root
k3s1: 1 error, 1 warning, 0 to know; checks without a finding: 1, left out: 1
`
	var b strings.Builder
	if err := r.WriteText(&b, false); err != nil || b.String() != want {
		t.Errorf("%v\n%s", err, b.String())
	}
	b.Reset()
	if err := r.WriteText(&b, true); err != nil || !strings.Contains(b.String(), "ok       timer: punctual\n") {
		t.Errorf("%v\n%s", err, b.String())
	}
}
