package doctor_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/doctor"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/firewalld"
	"github.com/vipd/vipd/test/lab"
)

// patience is how long a condition is waited for.
const patience = 20 * time.Second

// built are the programs, once a test needed them.
var built cluster.Once

func TestMain(m *testing.M) { os.Exit(built.Run(m)) }

func programs(t *testing.T) cluster.Binaries {
	t.Helper()
	b, err := built.Binaries()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// ward is a cluster of two servers, on which faults are made.
type ward struct {
	t       *testing.T
	cluster *cluster.Cluster
	config  func(*cluster.Server) string // of the servers
	vipd    string                       // the program that examines; the agents may run another
	router  func()                       // ends BIRD
	files   int
	made    []string // kinds of findings that were made
}

// first and second are the servers: the Active, and its Backup.
func (w *ward) first() *cluster.Server  { return w.cluster.Servers[0] }
func (w *ward) second() *cluster.Server { return w.cluster.Servers[1] }

// TestFaults makes faults, and wants each found where it is, and nowhere before.
func TestFaults(t *testing.T) {
	lab.Require(t, "ip", "nft", "keepalived", "setarch", "taskset")
	overlay(t, "/etc")
	t.Parallel() // with TestFirewalls: both wait more than they work
	w := newWard(t, programs(t))
	w.api()
	w.alone()
	w.acquaint()
	t.Run("sound", w.sound)
	if w.play(faults()) == len(faults()) { // not a few of them alone
		w.complete()
	}
}

// TestFirewalls has firewalls in the way of advertisements, and wants each found, and gone
// once its remedy was followed.
func TestFirewalls(t *testing.T) {
	lab.Require(t, append(firewalld.Tools(), "ip", "nft", "iptables", "ufw")...)
	overlay(t, "/etc") // before any test goes on beside this one, whose files it would hide
	t.Parallel()
	w := newWard(t, programs(t))
	w.api()
	w.must(w.first().StartAgent())
	w.active(w.first())
	w.acquaint()
	w.play(firewallFaults())
}

// acquaint has the second server join the first.
func (w *ward) acquaint() {
	w.t.Helper()
	w.must(w.second().StartAgent())
	w.settled()
	w.acquainted()
}

// complete wants every kind made, but for those that docs/doctor.md excepts.
func (w *ward) complete() {
	w.t.Helper()
	excepted := append([]string{"clock-unsynchronised"}, "unit-missing", "unit-disabled", "unit-failed", "realtime-refused",
		"bgp-family-missing", "firewall-drops", "peer-filtered", // TestSoundSetups and TestFirewalls make them
		"dropin-lowers-priority", "handover-disabled", "unit-named-k3s", "unit-strange-k3s")
	for _, k := range doctor.Kinds() {
		if !slices.Contains(w.made, k.ID) && !slices.Contains(excepted, k.ID) {
			w.t.Errorf("no fault was made for %s", k.ID)
		}
	}
}

// newWard makes a ward in which nothing runs yet.
func newWard(t *testing.T, bin cluster.Binaries) *ward {
	t.Helper()
	w := &ward{t: t, vipd: programs(t).Vipd, config: wardConfig}
	var err error
	w.cluster, err = cluster.New(lab.NewTest(t), cluster.Options{
		Binaries: bin, Dir: t.TempDir(), Servers: 2, Log: t.Output(),
		Config: func(s *cluster.Server) string { return w.config(s) },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.cluster.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

// wardConfig has both families.
func wardConfig(s *cluster.Server) string {
	return s.CheckConfig() + fmt.Sprintf("[[vip]]\nname = \"k3s\"\naddresses = [%q, %q]\nvrid = 51\npriority = %d\n", cluster.VIP4, cluster.VIP6, s.Priority())
}

// overlay lets files be put below dir, for this process alone.
func overlay(t *testing.T, dir string) {
	t.Helper()
	base, err := os.MkdirTemp("/run", "overlay-")
	if err == nil {
		err = errors.Join(os.Mkdir(base+"/upper", 0o755), os.Mkdir(base+"/work", 0o755),
			unix.Mount("overlay", dir, "overlay", 0, "lowerdir="+dir+",upperdir="+base+"/upper,workdir="+base+"/work"))
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (w *ward) api() {
	w.t.Helper()
	for _, s := range w.cluster.Servers {
		w.must(s.StartAPI("ready"))
	}
}

// alone looks at a server that has never heard another.
func (w *ward) alone() {
	w.t.Helper()
	w.has("agent-down", w.examine(w.first()))
	w.must(w.first().StartAgent())
	w.active(w.first())
	r := w.examine(w.first())
	w.has("peers-unheard", r)
	w.lacks("agent-down", r)
}

func (w *ward) settled() {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	w.must(w.cluster.Settled(ctx))
}

// ofTheMachine are kinds that tell of the machine on which the tests run.
func ofTheMachine() []string { return []string{"clock-unsynchronised", "timer-late"} }

// sound wants nothing to be found on servers that are well, not even what is good to know.
func (w *ward) sound(t *testing.T) {
	for _, s := range w.cluster.Servers {
		r := w.examine(s)
		for _, f := range r.Findings {
			if f.Severity != doctor.OK && !slices.Contains(ofTheMachine(), f.ID) {
				t.Errorf("%s: %+v", s.Name, f)
			}
		}
		for _, left := range r.LeftOut {
			if left.Check != "unit" { // there is no systemd here
				t.Errorf("%s: left out: %+v", s.Name, left)
			}
		}
	}
}

// examine runs vipd doctor on a server.
func (w *ward) examine(s *cluster.Server, args ...string) doctor.Report {
	w.t.Helper()
	return w.doctor(s, w.vipd, s.ConfigPath(), append([]string{"--listen", "1s"}, args...)...)
}

// doctor runs vipd doctor of a program, with a configuration.
func (w *ward) doctor(s *cluster.Server, program, config string, args ...string) doctor.Report {
	w.t.Helper()
	out, err := s.Node.Run(program, append([]string{"doctor", "--json", "--config", config, "--runtime-dir", s.RuntimeDir()}, args...)...)
	return w.report(out, err)
}

// examineWith does so with another configuration.
func (w *ward) examineWith(s *cluster.Server, config string, args ...string) doctor.Report {
	w.t.Helper()
	w.files++
	path := filepath.Join(w.t.TempDir(), fmt.Sprintf("%d.toml", w.files))
	w.must(os.WriteFile(path, []byte(config), 0o644))
	return w.doctor(s, w.vipd, path, append([]string{"--listen", "1s"}, args...)...)
}

func (w *ward) report(out string, err error) doctor.Report {
	w.t.Helper()
	var r doctor.Report
	if e := json.NewDecoder(strings.NewReader(out)).Decode(&r); e != nil {
		w.t.Fatalf("%v: %v: %s", e, err, out)
	}
	if (err != nil) != r.Failed() {
		w.t.Errorf("%v, although an error was found: %v", err, r.Failed())
	}
	return r
}

func (w *ward) has(id string, r doctor.Report) {
	w.t.Helper()
	for _, f := range r.Findings {
		if f.ID == id {
			w.t.Logf("%s  %s: %s; %s", f.Severity, f.Subject, f.Evidence, f.Remedy)
			w.made = append(w.made, id)
			return
		}
	}
	w.t.Errorf("%s was not found: %+v, left out: %+v", id, r.Findings, r.LeftOut)
}

// says wants a finding with these words in its evidence and its remedy.
func (w *ward) says(r doctor.Report, id, evidence, remedy string) {
	w.t.Helper()
	w.has(id, r)
	if !slices.ContainsFunc(r.Findings, func(f doctor.Finding) bool {
		return f.ID == id && strings.Contains(f.Evidence, evidence) && strings.Contains(f.Remedy, remedy)
	}) {
		w.t.Errorf("%s does not say %q; %q: %+v, left out: %+v", id, evidence, remedy, r.Findings, r.LeftOut)
	}
}

func (w *ward) lacks(id string, r doctor.Report) {
	w.t.Helper()
	for _, f := range r.Findings {
		if f.ID == id {
			w.t.Errorf("found although it is not there: %+v", f)
		}
	}
}

func (w *ward) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// run runs a command on a server.
func (w *ward) run(s *cluster.Server, command string) {
	w.t.Helper()
	args := strings.Fields(command)
	_, err := s.Node.Run(args[0], args[1:]...)
	w.must(err)
}

func (w *ward) until(what string, check func() error) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	w.must(cluster.UntilEvery(ctx, 50*time.Millisecond, what, check))
}

// vipOn is a configuration with one VIP on an interface.
func (w *ward) vipOn(iface, address string) string {
	return w.second().CheckConfig() + fmt.Sprintf("[[vip]]\nname = \"other\"\naddresses = [%q]\nvrid = 77\ninterface = %q\n", address, iface)
}

// beside starts a program on the client, and ends it when the test ends or end is called.
func (w *ward) beside(path string, args ...string) (end func()) {
	w.t.Helper()
	return w.on(w.cluster.Client, path, args...)
}

// on does so on any node.
func (w *ward) on(n *lab.Node, path string, args ...string) (end func()) {
	w.t.Helper()
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = w.t.Output(), w.t.Output()
	w.must(n.Start(cmd))
	end = sync.OnceFunc(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait() // how it ended does not matter: the test ends it
	})
	w.t.Cleanup(end)
	return end
}

// keepalived runs keepalived on the client.
func (w *ward) keepalived(version, vrid int, interval float64, vip netip.Addr) {
	w.t.Helper()
	dir := w.t.TempDir()
	conf := filepath.Join(dir, "keepalived.conf")
	w.must(os.WriteFile(conf, fmt.Appendf(nil, `global_defs {
	vrrp_version %d
}
vrrp_instance other {
	state MASTER
	interface eth0
	virtual_router_id %d
	priority 254
	advert_int %v
	virtual_ipaddress {
		%s
	}
}
`, version, vrid, interval, vip), 0o644))
	w.beside("keepalived", "--dont-fork", "--log-console", "--vrrp", "--use-file", conf, "--pid", dir+"/pid", "--vrrp_pid", dir+"/vrrp.pid")
	w.until("keepalived to be Active", func() error {
		addrs, err := w.cluster.Client.Addrs()
		if err == nil && !slices.Contains(addrs, vip) {
			err = fmt.Errorf("the client has %v", addrs)
		}
		return err
	})
}
