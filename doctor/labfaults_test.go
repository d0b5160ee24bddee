package doctor_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/doctor"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/firewalld"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/test/standin/pki"
	"github.com/vipd/vipd/vrrp"
	"github.com/vipd/vipd/vrrp/transport"
)

// fault makes what its name says, and wants it found.
type fault struct {
	name string
	make func(w *ward)
}

const (
	spare4 = "198.51.100.150" // addresses that nobody has
	spare6 = "2001:db8::150"
)

func faults() []fault {
	return []fault{
		{"configuration", badConfig}, {"interfaces", interfaces}, {"bridge", snooping}, {"sysctls", sysctls}, {"managers", managers},
		{"conflict", conflict}, {"keepalived version 2", version2}, {"keepalived of somebody else", stranger},
		{"keepalived in another interval", otherInterval}, {"files that differ", otherFiles}, {"authentication", authentication},
		{"clock of a peer", clockOffset}, {"credentials", credentials}, {"credentials that are hidden", hidden}, {"API", apiAnswers}, {"certificate", certificate},
		{"K3s's address", nodeAddress}, {"version", otherVersion}, {"kernel", oldKernel}, {"clock", clock}, {"timers", lateTimers}, {"BGP", routes}, {"nobody advertises", silence},
	}
}

func firewallFaults() []fault {
	return []fault{
		{"in", firewallIn}, {"out", firewallOut}, {"iptables", iptables}, {"firewalld", realFirewalld}, {"ufw", realUfw},
	}
}

func badConfig(w *ward) {
	w.has("config-unusable", w.examineWith(w.second(), "[[vip]]\naddresses = [\"198.51.100.100\"]\nvrid = 0\n"))
}

// routes has the second server announce to a router that is not there, an address of its own subnet.
func routes(w *ward) {
	s := w.second()
	before, err := os.ReadFile(s.ConfigPath())
	w.must(err)
	config := s.CheckConfig() + fmt.Sprintf("[[vip]]\nname = \"routed\"\nmode = \"bgp\"\naddresses = [%q]\n", spare4) +
		"[bgp]\nlocal_as = 64512\n[[bgp.peer]]\naddress = \"198.51.100.1\"\nas = 64600\n"
	w.must(s.Reconfigure(config))
	_, err = s.Vipd("reload")
	w.must(err)
	r := w.examine(s)
	w.has("bgp-session-down", r)
	w.has("bgp-vip-in-subnet", r)
	w.has("bgp-no-way-back", r)
	w.must(s.Reconfigure(string(before)))
	_, err = s.Vipd("reload")
	w.must(err)
}

func interfaces(w *ward) {
	s := w.second()
	w.has("interface-missing", w.examineWith(s, w.vipOn("eth7", spare4)))
	w.has("interface-missing", w.examineWith(s, strings.Replace(w.vipOn("eth7", "203.0.113.100"), `interface = "eth7"`, "", 1)))
	w.dummy("fault0", "")
	w.has("interface-down", w.examineWith(s, w.vipOn("fault0", spare4)))
	w.run(s, "ip link set fault0 up")
	w.has("interface-no-address", w.examineWith(s, w.vipOn("fault0", spare4)))
	w.run(s, "ip link set fault0 mtu 1200")
	w.has("mtu-too-small", w.examineWith(s, w.vipOn("fault0", spare6)))
	w.run(s, "ip link set fault0 mtu 1500")
	w.sysctl("ipv6/conf/fault0/disable_ipv6", "1")
	w.has("ipv6-disabled", w.examineWith(s, w.vipOn("fault0", spare6)))
}

// dummy makes an interface on the second server that goes nowhere.
func (w *ward) dummy(name, address string) {
	w.t.Helper()
	s := w.second()
	w.run(s, "ip link add "+name+" type veth peer name "+name+"p")
	w.run(s, "ip link set "+name+"p up")
	w.t.Cleanup(func() { w.run(s, "ip link del "+name) })
	if address != "" {
		w.run(s, "ip link set "+name+" up")
		w.run(s, "ip address add "+address+" dev "+name)
	}
}

// sysctl changes a setting of the second server for the time of the test.
func (w *ward) sysctl(name, value string) {
	w.t.Helper()
	path := "/proc/sys/net/" + name
	w.must(w.second().Node.Do(func() error {
		was, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		w.t.Cleanup(func() {
			// What belonged to an interface may have gone with it.
			_ = w.second().Node.Do(func() error { return os.WriteFile(path, was, 0) })
		})
		return os.WriteFile(path, []byte(value), 0)
	}))
}

func snooping(w *ward) {
	s := w.second()
	w.run(s, "ip link add fault1 type bridge mcast_snooping 1 mcast_querier 0")
	w.t.Cleanup(func() { w.run(s, "ip link del fault1") })
	w.run(s, "ip link set fault1 up")
	config := w.vipOn("fault1", spare6)
	w.has("snooping-without-querier", w.examineWith(s, config))
	w.run(s, "ip link set fault1 type bridge mcast_querier 1")
	w.lacks("snooping-without-querier", w.examineWith(s, config))
}

func sysctls(w *ward) {
	s := w.second()
	w.dummy("fault2", "203.0.113.1/24")
	w.run(s, "ip route add default via 203.0.113.2")
	w.sysctl("ipv4/conf/eth0/rp_filter", "1")
	w.sysctl("ipv4/conf/eth0/arp_ignore", "2")
	w.dummy("fault3", "198.51.100.240/24")
	w.sysctl("ipv4/conf/eth0/arp_filter", "1")
	w.sysctl("ipv4/conf/eth0/arp_announce", "0")
	r := w.examineWith(s, w.vipOn("eth0", spare4))
	for _, id := range []string{"rp-filter-strict", "arp-ignore", "arp-filter", "arp-announce"} {
		w.has(id, r)
	}
}

// managers writes down what networkd and NetworkManager do of an interface.
func managers(w *ward) {
	link, err := w.second().Node.Netlink().LinkByName(lab.Interface)
	w.must(err)
	index := link.Attrs().Index
	network := "/run/systemd/network/10-netplan-eth0.network"
	w.file(network, "[Match]\nName=eth0\n[Network]\nDHCP=no\n")
	w.file(fmt.Sprintf("/run/systemd/netif/links/%d", index), "ADMIN_STATE=configured\nNETWORK_FILE="+network+"\n")
	w.file(fmt.Sprintf("/run/NetworkManager/devices/%d", index), "[device]\nmanaged=true\n")
	r := w.examine(w.second())
	w.has("networkd-drops-addresses", r)
	w.has("networkmanager-drops-addresses", r)
	w.file("/etc/systemd/network/10-netplan-eth0.network.d/vipd.conf", "[Network]\nKeepConfiguration=static\n")
	w.lacks("networkd-drops-addresses", w.examine(w.second()))
}

// file writes a file for the time of the test.
func (w *ward) file(path, text string) {
	w.t.Helper()
	w.must(os.MkdirAll(filepath.Dir(path), 0o755))
	w.must(os.WriteFile(path, []byte(text), 0o644))
	w.t.Cleanup(func() { w.must(os.Remove(path)) })
}

func conflict(w *ward) {
	for _, vip := range []netip.Prefix{netip.PrefixFrom(cluster.VIP4, 32), netip.PrefixFrom(cluster.VIP6, 128)} {
		w.must(w.cluster.Client.AddAddr(vip))
		for _, s := range w.cluster.Servers {
			w.has("vip-elsewhere", w.examine(s))
		}
		link, err := w.cluster.Client.Netlink().LinkByName(lab.Interface)
		w.must(err)
		addr, err := netlink.ParseAddr(vip.String())
		w.must(err)
		w.must(w.cluster.Client.Netlink().AddrDel(link, addr))
	}
	w.has("agent-reports", w.examine(w.first()))
	w.lacks("vip-elsewhere", w.examine(w.second()))
}

func version2(w *ward) {
	w.keepalived(2, 77, 1, netip.MustParseAddr(spare4))
	// Version 2 advertises each second at most.
	w.has("peer-version-2", w.examineWith(w.second(), w.vipOn("eth0", spare4), "--listen", "3s"))
}

func stranger(w *ward) {
	w.keepalived(3, 77, 0.25, netip.MustParseAddr("203.0.113.77"))
	w.has("vrid-stranger", w.examineWith(w.second(), w.vipOn("eth0", spare4)))
}

func otherInterval(w *ward) {
	w.keepalived(3, 77, 0.5, netip.MustParseAddr(spare4))
	r := w.examineWith(w.second(), w.vipOn("eth0", spare4))
	w.has("peer-interval-differs", r)
	w.lacks("vip-elsewhere", r)
	w.lacks("vrid-stranger", r)
}

// otherFiles has doctor look with files that are not those of the Active.
func otherFiles(w *ward) {
	own := w.second().CheckConfig() + fmt.Sprintf("[[vip]]\nname = \"other\"\naddresses = [%q]\ninterface = \"eth0\"\n", cluster.VIP4)
	w.has("vrid-differs", w.examineWith(w.second(), own+"vrid = 52\n"))
	w.has("peer-checksum-differs", w.examineWith(w.second(), own+"vrid = 51\nchecksum = \"rfc9568\"\n"))
	w.says(w.examineWith(w.second(), own+"vrid = 51\npeers = [\"198.51.100.11\"]\n"), "peer-refused", "sends to the wrong place, 224.0.0.18", "use peers on all servers or on none")
	more := strings.Replace(own, `"]`, `", "`+spare4+`"]`, 1)
	w.has("peer-addresses-differ", w.examineWith(w.second(), more+"vrid = 51\n"))
}

func (w *ward) auth(mode os.FileMode) string {
	w.t.Helper()
	key := filepath.Join(w.t.TempDir(), "key")
	w.must(os.WriteFile(key, []byte(strings.Repeat("k", 32)), mode))
	return fmt.Sprintf("[auth]\nactive_key = 1\nkeys = [{ id = 1, file = %q }]\n", key)
}

func authentication(w *ward) {
	config := wardConfig(w.second())
	w.says(w.examineWith(w.second(), config+w.auth(0o600)), "peer-auth-differs", "does not sign its advertisements", "permissive")
	w.has("auth-key-unusable", w.examineWith(w.second(), config+w.auth(0o644)))
}

// clockOffset advertises from the client, signed, by a clock that is a minute ahead.
func clockOffset(w *ward) {
	var sender *transport.Sender
	w.must(w.cluster.Client.Do(func() error {
		ifi, err := net.InterfaceByName(lab.Interface)
		if err != nil {
			return err
		}
		sender, err = transport.NewSender(ifi, vrrp.IPv4)
		return err
	}))
	signer := vrrp.NewSigner(vrrp.Key{ID: 1, Secret: []byte(strings.Repeat("k", 32))}, vrrp.ReplayTime, 5*time.Second)
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		tick := time.NewTicker(100 * time.Millisecond)
		defer tick.Stop()
		src := netip.MustParseAddr("198.51.100.1")
		p := vrrp.Packet{VRID: 77, Priority: 100, Interval: 250 * time.Millisecond, Addrs: []netip.Addr{netip.MustParseAddr(spare4)}}
		for {
			pdu := p.Append(nil, src, vrrp.IPv4.Group(), vrrp.ChecksumPseudoHeader)
			if err := sender.Send(src, vrrp.IPv4.Group(), signer.Append(pdu, pdu, src, time.Now().Add(time.Minute))); err != nil {
				stopped <- err
				return
			}
			select {
			case <-tick.C:
			case <-stop:
				stopped <- nil
				return
			}
		}
	}()
	w.has("clock-offset", w.examineWith(w.second(), w.vipOn("eth0", spare4)+w.auth(0o600)))
	close(stop)
	w.must(errors.Join(<-stopped, sender.Close()))
}

// credentials has K3s's files missing, damaged, and near their end.
func credentials(w *ward) {
	dir := w.t.TempDir()
	config := fmt.Sprintf("[[check]]\ntype = \"k3s\"\ndata_dir = %q\nunit = \"\"\n[[vip]]\naddresses = [%q]\nvrid = 51\n", dir, cluster.VIP4)
	w.has("credentials-missing", w.examineWith(w.second(), config))
	w.must(pki.Ensure(pki.Config{DataDir: dir}))
	w.has("api-untrusted", w.examineWith(w.second(), config))
	for _, tt := range []struct {
		id   string
		left time.Duration
	}{{"credentials-expired", -time.Hour}, {"credentials-expiring", 48 * time.Hour}} {
		cert, key := selfSigned(w, tt.left)
		w.must(os.WriteFile(pki.TLSDir(dir)+"/client-kube-proxy.crt", cert, 0o644))
		w.must(os.WriteFile(pki.TLSDir(dir)+"/client-kube-proxy.key", key, 0o600))
		w.has(tt.id, w.examineWith(w.second(), config))
	}
	w.must(os.WriteFile(pki.TLSDir(dir)+"/server-ca.crt", []byte("damaged"), 0o644))
	w.has("credentials-unreadable", w.examineWith(w.second(), config))
}

// hidden has an agent look at a file system that shows it less than root, as ProtectHome does.
func hidden(w *ward) {
	s, dir := w.second(), w.t.TempDir()
	home, config, run := filepath.Join(dir, "home"), filepath.Join(dir, "vipd.toml"), filepath.Join(dir, "run")
	w.must(os.Mkdir(home, 0o755))
	cert, key := selfSigned(w, 365*24*time.Hour)
	w.must(os.WriteFile(home+"/client.crt", cert, 0o644))
	w.must(os.WriteFile(home+"/client.key", key, 0o600))
	w.must(os.WriteFile(config, fmt.Appendf(nil, "[[check]]\ntype = \"https\"\nurl = \"https://127.0.0.1:7443\"\ncert_file = %q\nkey_file = %q\n"+
		"[[vip]]\naddresses = [%q]\nvrid = 77\ninterface = \"eth0\"\n", home+"/client.crt", home+"/client.key", spare4), 0o644))
	examine := func() doctor.Report {
		out, err := s.Node.Run(w.vipd, "doctor", "--json", "--listen", "0s", "--config", config, "--runtime-dir", run)
		return w.report(out, err)
	}
	agent := fmt.Sprintf("%s run --config %s --runtime-dir %s", w.vipd, config, run)
	end := w.on(s.Node, "sh", "-euc", "exec "+agent)
	w.until("the agent", func() error { return w.answers(run) })
	w.lacks("credentials-unreadable", examine())
	end()
	w.on(s.Node, "unshare", "--mount", "sh", "-euc", "mount -t tmpfs tmpfs "+home+"; exec "+agent)
	w.until("the agent", func() error { return w.answers(run) })
	w.says(examine(), "credentials-unreadable", home+"/client.crt, and the agent cannot", "move it to /etc/vipd")
}

// answers tells whether an agent answers.
func (w *ward) answers(runtimeDir string) error {
	_, err := control.NewClient(control.Socket(runtimeDir)).Status(w.t.Context())
	return err
}

// selfSigned makes a certificate for 127.0.0.1 that ends soon, and its key.
func selfSigned(w *ward, left time.Duration) (cert, key []byte) {
	w.t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	w.must(err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-72 * time.Hour), NotAfter: time.Now().Add(left), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	w.must(err)
	b, err := x509.MarshalECPrivateKey(private)
	w.must(err)
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: b})
}

// apiAnswers goes through what the API server may say.
func apiAnswers(w *ward) {
	w.t.Cleanup(w.settledAgain)
	for mode, id := range map[string]string{
		"status 401": "api-unauthorized", "status 403": "api-forbidden", "status 503": "api-unready", "unready": "api-unready", "refused": "api-unreachable",
	} {
		w.must(w.second().SetAPI(w.t.Context(), mode))
		w.has(id, w.examine(w.second()))
	}
}

// settledAgain ends what a fault left behind.
func (w *ward) settledAgain() {
	w.must(w.second().SetAPI(context.Background(), "ready"))
	w.settled()
}

func certificate(w *ward) {
	w.has("certificate-lacks-vip", w.examineWith(w.second(), w.vipOn("eth0", spare4)))
	// A server of which all is near its end, and which knows this node by the VIP.
	dir := w.t.TempDir()
	w.must(pki.Ensure(pki.Config{DataDir: dir}))
	cert, key := selfSigned(w, 48*time.Hour)
	w.must(os.WriteFile(pki.TLSDir(dir)+"/server-ca.crt", cert, 0o644))
	pair, err := tls.X509KeyPair(cert, key)
	w.must(err)
	var l net.Listener
	w.must(w.second().Node.Do(func() (err error) {
		l, err = net.Listen("tcp", "127.0.0.1:7443")
		return err
	}))
	server := &http.Server{
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{pair}},
		Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			if strings.HasPrefix(r.URL.Path, "/api/v1/nodes/") {
				fmt.Fprintf(rw, `{"status":{"addresses":[{"type":"InternalIP","address":%q}]}}`, cluster.VIP4)
			}
		}),
	}
	go func() { _ = server.ServeTLS(l, "", "") }() // ends with Close
	defer server.Close()
	r := w.examineWith(w.second(), fmt.Sprintf("[[check]]\ntype = \"k3s\"\nurl = \"https://127.0.0.1:7443\"\ndata_dir = %q\nunit = \"\"\n[[vip]]\naddresses = [%q]\nvrid = 51\n", dir, cluster.VIP4))
	w.has("certificate-expiring", r)
	w.has("node-took-vip", r)
}

func nodeAddress(w *ward) {
	w.file("/etc/rancher/k3s/config.yaml", "tls-san:\n- "+cluster.VIP4.String()+"\nnode-ip: "+cluster.VIP4.String()+"\n")
	w.run(w.second(), "ip link add flannel.1 type vxlan id 1 dstport 8472 local "+cluster.VIP4.String()+" dev eth0")
	w.t.Cleanup(func() { w.run(w.second(), "ip link del flannel.1") })
	r := w.examine(w.second())
	w.has("node-ip-is-vip", r)
	w.has("flannel-took-vip", r)
}

func otherVersion(w *ward) {
	newer := filepath.Join(w.t.TempDir(), "newer")
	build := exec.Command("go", "build", "-ldflags", "-X main.version=9.9.9", "-o", newer, "github.com/vipd/vipd/cmd/vipd")
	if out, err := build.CombinedOutput(); err != nil {
		w.t.Fatalf("build another version: %v: %s", err, out)
	}
	s := w.second()
	w.has("version-differs", w.doctor(s, newer, s.ConfigPath(), "--listen", "0s"))
}

// oldKernel has the kernel say that it is Linux 2.6, as uname26 personality does.
func oldKernel(w *ward) {
	s := w.second()
	out, err := s.Node.Run("setarch", "--uname-2.6", w.vipd, "doctor", "--json", "--listen", "0s", "--config", s.ConfigPath(), "--runtime-dir", s.RuntimeDir())
	w.says(w.report(out, err), "kernel-old", "Linux 2.6.", "")
}

// clock wants to be told what the kernel of this machine says, be it synchronised or not.
func clock(w *ward) {
	const timeError = 5 // adjtimex(2)
	var t unix.Timex
	state, err := unix.Adjtimex(&t)
	w.must(err)
	r := w.examine(w.second(), "--listen", "0s")
	if state == timeError {
		w.has("clock-unsynchronised", r)
		return
	}
	w.lacks("clock-unsynchronised", r)
}

// lateTimers has something that goes before all others take a processor for 30 ms again and
// again, as the other guests of a hypervisor do.
func lateTimers(w *ward) {
	cpu, err := lastCPU()
	w.must(err)
	stop := w.steal(cpu, 30*time.Millisecond, 70*time.Millisecond)
	defer stop()
	s := w.second()
	config := filepath.Join(w.t.TempDir(), "vipd.toml")
	for interval, late := range map[string]bool{"10ms": true, "5s": false} {
		w.must(os.WriteFile(config, []byte(wardConfig(s)+fmt.Sprintf("advert_interval = %q\n", interval)), 0o644))
		out, err := s.Node.Run("taskset", "-c", fmt.Sprint(cpu), w.vipd, "doctor", "--json", "--listen", "0s", "--config", config, "--runtime-dir", s.RuntimeDir())
		r := w.report(out, err)
		if !late {
			w.lacks("timer-late", r)
			continue
		}
		w.says(r, "timer-late", "without real-time scheduling; advert_interval is 10ms", "advert_interval = ")
	}
}

// lastCPU is the last processor that this process may use.
func lastCPU() (int, error) {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return 0, err
	}
	last, left := 0, set.Count()
	for cpu := 0; left > 0; cpu++ {
		if set.IsSet(cpu) {
			last = cpu
			left--
		}
	}
	return last, nil
}

// steal takes a processor for a while and gives it back for another, until stop is called.
func (w *ward) steal(cpu int, taken, given time.Duration) (stop func()) {
	w.t.Helper()
	refused, stopped := make(chan error), make(chan struct{})
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	go func() {
		defer close(stopped)
		runtime.LockOSThread() // and so the thread ends with it
		var set unix.CPUSet
		set.Set(cpu)
		attr := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 50}
		err := errors.Join(unix.SchedSetaffinity(0, &set), unix.SchedSetAttr(0, &attr, 0))
		refused <- err
		for err == nil && ctx.Err() == nil {
			for until := time.Now().Add(taken); time.Now().Before(until); {
			}
			nap := unix.NsecToTimespec(given.Nanoseconds())
			_ = unix.Nanosleep(&nap, nil) // one that is cut short steals more
		}
	}()
	if err := <-refused; err != nil {
		cancel()
		lab.Miss(w.t, "real-time scheduling, which this machine refuses: "+err.Error())
	}
	return func() {
		cancel()
		<-stopped
	}
}

// rules loads a ruleset on the second server, and takes it off in the end.
func (w *ward) rules(text string) {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "rules.nft")
	w.must(os.WriteFile(path, []byte(text), 0o644))
	w.run(w.second(), "nft -f "+path)
	w.t.Cleanup(func() {
		w.run(w.second(), "nft flush ruleset")
		w.settledAgain()
	})
}

// firewallIn has the second server hear nobody any more.
func firewallIn(w *ward) {
	w.rules(`table inet filter {
	chain input {
		type filter hook input priority filter; policy drop;
		iif lo accept
		ct state vmap { established : accept, related : accept, invalid : drop }
		icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
		tcp dport { 22, 6443 } accept
	}
}
`)
	s := w.second()
	w.must(s.SignalAgent(syscall.SIGTERM))
	w.must(s.AwaitAgent(w.t.Context()))
	w.must(s.RestartAgent())
	w.until("the second to be Active too", func() error {
		st, err := s.Status(w.t.Context())
		if err != nil {
			return err
		}
		if len(st.Routers) != 2 || st.Routers[0].State != "Active" {
			return errors.New("not yet")
		}
		return nil
	})
	r := w.examine(s)
	w.has("firewall-drops", r)
	w.has("peer-filtered", r)
	w.run(s, "nft insert rule inet filter input meta l4proto 112 accept")
	w.lacks("firewall-drops", w.examine(s))
}

func firewallOut(w *ward) {
	w.rules(`table ip out {
	chain output {
		type filter hook output priority filter; policy accept;
		ip daddr 224.0.0.0/4 drop
	}
}
`)
	w.has("firewall-drops", w.examine(w.second()))
}

// k3sRules are such as K3s adds, which let advertisements pass.
const k3sRules = `*filter
:INPUT ACCEPT [0:0]
:FORWARD ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:KUBE-FIREWALL - [0:0]
:KUBE-PROXY-FIREWALL - [0:0]
:KUBE-ROUTER-INPUT - [0:0]
-A INPUT -m comment --comment "kube-router netpol - 4IA2OSFRMVNDXBVV" -j KUBE-ROUTER-INPUT
-A INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL
-A INPUT -j KUBE-FIREWALL
-A OUTPUT -j KUBE-FIREWALL
-A KUBE-FIREWALL ! -s 127.0.0.0/8 -d 127.0.0.0/8 -m comment --comment "block incoming localnet connections" -m conntrack ! --ctstate RELATED,ESTABLISHED,DNAT -j DROP
-A KUBE-ROUTER-INPUT -d 10.43.0.0/16 -m comment --comment "allow traffic to primary cluster IP range" -j RETURN
-A KUBE-ROUTER-INPUT -p tcp -m comment --comment "allow LOCAL TCP traffic to node ports" -m addrtype --dst-type LOCAL -m multiport --dports 30000:32767 -j RETURN
COMMIT
`

// iptables has rules in the way, and takes them out of it as it is told.
func iptables(w *ward) {
	s := w.second()
	path := filepath.Join(w.t.TempDir(), "rules")
	w.must(os.WriteFile(path, []byte(k3sRules), 0o644))
	w.t.Cleanup(func() {
		w.run(s, "nft flush ruleset")
		w.settledAgain()
	})
	w.run(s, "iptables-restore "+path)
	w.lacks("firewall-drops", w.examine(s))
	for _, rules := range [][]string{
		{"iptables -A INPUT -i lo -j ACCEPT", "iptables -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT", "iptables -A INPUT -p tcp --dport 6443 -j ACCEPT", "iptables -P INPUT DROP"},
		{"ip6tables -N others", "ip6tables -A INPUT -p icmpv6 -j ACCEPT", "ip6tables -A INPUT -i eth0 -j others", "ip6tables -A others -j REJECT"},
		{"iptables -A OUTPUT -d 224.0.0.0/4 -j DROP"},
	} {
		for _, rule := range rules {
			w.run(s, rule)
		}
		tool, _, _ := strings.Cut(rules[0], " ")
		r := w.examine(s)
		w.says(r, "firewall-drops", "table "+tool+" filter", tool+" -t filter -I ")
		for _, f := range r.Findings {
			if remedy, ok := strings.CutSuffix(f.Remedy, ", and save that"); ok && f.ID == "firewall-drops" {
				w.run(s, remedy)
			}
		}
		w.lacks("firewall-drops", w.examine(s))
	}
}

// realFirewalld has firewalld in the way, by nftables for an interface that nobody gave a
// zone, and by iptables for one that has its own, and each time takes it out of it as it is
// told.
func realFirewalld(w *ward) {
	s := w.second()
	w.t.Cleanup(w.settledAgain)
	for _, tt := range []struct{ backend, zone, v4, v6 string }{
		{"nftables", "", "table inet firewalld", "table inet firewalld"},
		{"iptables", "firewall-cmd --permanent --zone=drop --change-interface=eth0 && firewall-cmd --reload", "table iptables filter", "table ip6tables filter"},
	} {
		f, err := firewalld.Start(w.t.Context(), s.Node, firewalld.Options{
			Dir: w.t.TempDir(), Log: w.t.Output(), Backend: tt.backend, Services: []string{"../packaging/firewall/vipd.xml"},
		})
		w.must(err)
		w.t.Cleanup(func() { w.must(f.Stop()) })
		w.typed(f, tt.zone)
		r := w.examine(s, "--listen", "0s")
		w.says(r, "firewall-drops", "IPv4 advertisements do not come in on eth0: "+tt.v4, "firewall-cmd --permanent --add-service=vipd ")
		w.says(r, "firewall-drops", "IPv6 advertisements do not come in on eth0: "+tt.v6, "firewall-cmd --permanent --add-service=vipd ")
		i := slices.IndexFunc(r.Findings, func(f doctor.Finding) bool { return f.ID == "firewall-drops" })
		w.typed(f, r.Findings[max(0, i)].Remedy)
		w.lacks("firewall-drops", w.examine(s, "--listen", "0s"))
		w.settled() // the servers hear each other again
		w.must(f.Stop())
	}
}

// realUfw has ufw in the way, as its package leaves it, and takes it out of it as it is told.
func realUfw(w *ward) {
	if _, err := os.ReadFile("/etc/ufw/before.rules"); err != nil {
		lab.Miss(w.t, "root, whose files ufw's are: "+err.Error())
	}
	s := w.second()
	w.t.Cleanup(w.settledAgain)
	w.run(s, "ufw --force enable")
	defer w.run(s, "ufw --force disable")
	defer func() {
		if w.t.Failed() {
			rules, err := s.Node.Run("iptables-save")
			w.t.Logf("iptables-save: %v\n%s", err, rules)
		}
	}()
	r := w.examine(s, "--listen", "0s")
	w.says(r, "firewall-drops", "IPv4 advertisements do not come in on eth0: table iptables filter, policy drop of chain INPUT", "ufw allow proto vrrp from 198.51.100.0/24")
	w.says(r, "firewall-drops", "IPv6 advertisements do not come in on eth0: table ip6tables filter, policy drop of chain INPUT", "ufw allow proto vrrp from fe80::/10")
	w.run(s, "ufw default deny outgoing")
	r = w.examine(s, "--listen", "0s")
	w.says(r, "firewall-drops", "IPv4 advertisements do not go out on eth0", "ufw allow out proto vrrp from any to any")
	for _, f := range r.Findings {
		if remedy, _, ok := strings.Cut(f.Remedy, " ("); ok && f.ID == "firewall-drops" {
			w.run(s, remedy)
		}
	}
	w.lacks("firewall-drops", w.examine(s, "--listen", "0s"))
	w.settled() // the servers hear each other again
}

// typed has an operator with firewalld type this.
func (w *ward) typed(f *firewalld.Firewalld, line string) {
	w.t.Helper()
	out, err := f.Run(line)
	w.must(err)
	w.t.Logf("%s: %s", line, out)
}

// silence ends all agents.
func silence(w *ward) {
	for _, s := range w.cluster.Servers {
		w.must(s.SignalAgent(syscall.SIGTERM))
		w.must(s.AwaitAgent(w.t.Context()))
	}
	w.has("no-advertisement", w.examine(w.second()))
	// Where a second says nothing it is not said to be well either.
	r := w.examineWith(w.second(), wardConfig(w.second())+"advert_interval = \"2s\"\n")
	w.lacks("no-advertisement", r)
	if !slices.ContainsFunc(r.LeftOut, func(s doctor.Skipped) bool { return s.Check == "wire" && strings.Contains(s.Why, "--listen 8s") }) {
		w.t.Errorf("left out: %+v", r.LeftOut)
	}
}
