package docs_test

import (
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/firewalld"
	"github.com/vipd/vipd/test/lab"
)

// notRun are the programs whose commands are not run here, and why. TestCommands has
// looked at what systemd, make, go and the package managers are told.
var notRun = map[string]string{
	"apt": "test/e2e types it on machines", "dnf": "there is no machine with RPM",
	"systemctl": "there is no systemd; test/e2e types it on machines", "journalctl": "there is no journal; test/e2e reads it on machines",
	"kill": "it is of K3s's unit; test/e2e types it on machines", "cp": "it is of the unit's drop-ins; test/e2e makes them on machines",
	"make": "it builds and tests the tree", "go": "it builds and tests the tree",
	"k3s": "there is no K3s", "kubectl": "there is no K3s", "cat": "it is of a file of K3s's",
	"timedatectl": "it is of this machine's clock", "chronyc": "it is of this machine's clock",
	"nmcli": "there is no NetworkManager", "scp": "there is no other host",
	"jq": "TestCommandsRun does", "promtool": "agent/metrics does", "man": "packaging/man holds the pages to the program",
	"for": "it is a word of the shell, which TestShell reads", "done": "it is a word of the shell, which TestShell reads",
	"umask": "it is a word of the shell, which TestShell reads",
}

// TestOthersRun runs what a page has the reader type of other programs than vipd, and what
// firewalld.txt and ufw.txt have, in namespaces: curl asks agents, and firewall-cmd and ufw
// change rules that are really there.
func TestOthersRun(t *testing.T) {
	lab.Require(t, append(firewalld.Tools(), "ufw", "curl", "ip", "nft", "sysctl")...)
	if _, err := os.ReadFile("/etc/ufw/before.rules"); err != nil {
		lab.Miss(t, "root, whose files ufw's are: "+err.Error())
	}
	o := newBench(t)
	all := pages(t)
	for _, name := range []string{"packaging/firewall/firewalld.txt", "packaging/firewall/ufw.txt"} {
		all = append(all, page{name: name, blocks: []block{{lang: "sh", text: read(t, name)}}})
	}
	done := make(map[string]bool)
	for _, p := range all {
		for _, c := range append(p.commands(), p.inPassing(o)...) {
			line := strings.Join(c.words, " ")
			firewall := c.words[0] == "firewall-cmd" || c.words[0] == "ufw" // whose blocks end with a reload
			if c.words[0] == "vipd" || done[line] && !firewall {
				continue
			}
			done[line] = true
			if why := o.spares(c.words); why != "" {
				t.Logf("%s:%d: %s: not run: %s", p.name, c.line, line, why)
				continue
			}
			run, ok := o.runs()[c.words[0]]
			if !ok {
				t.Errorf("%s:%d: %s: nobody runs it, and notRun does not say why", p.name, c.line, line)
				continue
			}
			out, err := run(c.words)
			if err != nil {
				t.Errorf("%s:%d: %v", p.name, c.line, err)
			}
			t.Logf("%s:%d: %s: %.200q", p.name, c.line, line, out)
			o.ran++
		}
	}
	if o.ran < 25 {
		t.Errorf("only %d commands were run", o.ran)
	}
	if _, err := o.wall.Run("firewall-cmd --query-protocol=vrrp && firewall-cmd --query-service=vipd && firewall-cmd --query-port=6443/tcp"); err != nil {
		t.Errorf("firewalld was told all that the pages say, and does not let in VRRP and the API: %v", err)
	}
	for _, rule := range []string{"-A ufw-user-input -s 192.0.2.0/24 -p vrrp -j ACCEPT", "-A ufw-user-input -p tcp -m tcp --dport 6443 -j ACCEPT"} {
		if out, err := o.ufw.Run("iptables-save"); err != nil || !strings.Contains(out, rule) {
			t.Errorf("ufw was told all that the pages say, and has no %q: %v: %s", rule, err, out)
		}
	}
}

// inPassing are commands within a line of programs that are run.
func (p page) inPassing(o *bench) []command {
	var all []command
	for _, s := range p.spans {
		if strings.ContainsAny(s.text, "[|") || strings.Contains(s.text, "curl") && !strings.Contains(s.text, "://") {
			continue // how a command is made up
		}
		for _, words := range split(s.text) {
			if _, ok := o.runs()[words[0]]; ok && len(words) > 1 {
				all = append(all, command{words, s.line})
			}
		}
	}
	return all
}

// bench is where the commands of other programs are run.
type bench struct {
	t       *testing.T
	cluster *cluster.Cluster
	spare   *lab.Node            // a host that nobody needs
	wall    *firewalld.Firewalld // on another
	ufw     *lab.Node            // has ufw on
	dir     string               // in the place of /etc/vipd
	ran     int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	c, _ := servers(t, 2)
	o := &bench{t: t, cluster: c, dir: t.TempDir()}
	must(t, os.Mkdir(o.dir+"/keys", 0o700)) // the package has it
	var err error
	o.spare, err = c.Lab.Add("spare", netip.MustParsePrefix("198.51.100.60/24"))
	must(t, err)
	walled, err := c.Lab.Add("walled", netip.MustParsePrefix("198.51.100.61/24"))
	must(t, err)
	o.wall, err = firewalld.Start(t.Context(), walled, firewalld.Options{Dir: t.TempDir(), Log: t.Output(), Services: []string{root + "/packaging/firewall/vipd.xml"}})
	must(t, err)
	t.Cleanup(func() { must(t, o.wall.Stop()) })
	o.ufw, err = c.Lab.Add("ufw", netip.MustParsePrefix("198.51.100.62/24"))
	must(t, err)
	o.enableUfw()
	return o
}

// enableUfw turns ufw on with a copy of its files, which it writes to.
func (o *bench) enableUfw() {
	o.t.Helper()
	files := o.t.TempDir()
	must(o.t, os.CopyFS(files, os.DirFS("/etc/ufw")))
	must(o.t, unix.Mount(files, "/etc/ufw", "", unix.MS_BIND, ""))
	o.t.Cleanup(func() { must(o.t, unix.Unmount("/etc/ufw", 0)) })
	_, err := o.ufw.Run("ufw", "--force", "enable")
	must(o.t, err)
}

func (o *bench) runs() map[string]func(words []string) (string, error) {
	return map[string]func([]string) (string, error){
		"curl": o.curl, "firewall-cmd": o.firewall, "ufw": o.onUfw, "ip": o.onSpare, "nft": o.onSpare, "sysctl": o.onSpare,
		"install": o.onSpare, "head": o.onSpare, "sh": o.onSpare, "sed": o.onSpare, "sleep": o.onSpare,
	}
}

// spares says why a command is not run, or nothing.
func (o *bench) spares(words []string) string {
	switch {
	case words[0] == "sh" && !slices.Contains(words, "-c"), slices.Contains(words, "https://get.k3s.io"):
		return "it is K3s's installer, for which test/e2e has a stand-in"
	case words[0] == "sysctl" && strings.Contains(strings.Join(words, " "), " kernel."):
		return "it is of the whole machine"
	}
	return notRun[words[0]]
}

// onSpare runs a command on a host that nobody needs, or what it says of a bridge where
// there is one.
func (o *bench) onSpare(words []string) (string, error) {
	node := o.spare
	if slices.Contains(words, "BRIDGE") {
		node = o.cluster.Lab.Switch()
	}
	words = o.here(words, "IFACE", lab.Interface, "BRIDGE", "br0", "/etc/vipd", o.dir)
	return node.Run(words[0], words[1:]...)
}

// curl asks the agent of the first server, with metrics where they are asked for, or the
// API at the VIP from outside.
func (o *bench) curl(words []string) (string, error) {
	s := o.cluster.Servers[0]
	words = append(o.here(words, "/run/vipd", s.RuntimeDir()), "--fail", "--show-error")
	line := strings.Join(words, " ")
	switch {
	case strings.Contains(line, "metrics.sock"):
		o.serveMetrics("unix:" + s.RuntimeDir() + "/metrics.sock")
	case strings.Contains(line, ":9693"):
		o.serveMetrics("127.0.0.1:9693")
	case strings.Contains(line, "https://"):
		return o.cluster.Client.Run(words[0], words[1:]...)
	}
	return s.Node.Run(words[0], words[1:]...)
}

func (o *bench) serveMetrics(listen string) {
	o.t.Helper()
	s := o.cluster.Servers[0]
	must(o.t, s.Reconfigure(slow(s)+"[metrics]\nlisten = \""+listen+"\"\n"))
	if out, err := s.Vipd("reload"); err != nil {
		o.t.Fatalf("%v: %s", err, out)
	}
}

func (o *bench) firewall(words []string) (string, error) {
	var line strings.Builder
	for _, w := range words {
		line.WriteString("'" + strings.ReplaceAll(w, "'", `'\''`) + "' ")
	}
	return o.wall.Run(line.String())
}

func (o *bench) onUfw(words []string) (string, error) { return o.ufw.Run(words[0], words[1:]...) }

// here puts what there is in the place of what a page has.
func (o *bench) here(words []string, oldnew ...string) []string {
	words = slices.Clone(words)
	r := strings.NewReplacer(append(oldnew, "192.0.2.100", cluster.VIP4.String())...)
	for i, w := range words {
		words[i] = r.Replace(w)
	}
	return words
}
