package e2e

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/cluster"
)

// TestTranscript installs vipd as a new user does who has the README alone, and goes
// through what can happen with no other eyes than vipd's own commands. What they print
// becomes docs/transcript.md with -record.
func TestTranscript(t *testing.T) {
	s := &session{trial: &trial{T: t, site: newSite(t)}}
	s.must(os.MkdirAll("../../bin/e2e", 0o755))
	// As far as it came.
	defer func() { s.must(s.write("../../bin/e2e/transcript.md")) }()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	s.must(s.boot(ctx))
	s.must(s.installK3s(ctx))
	s.page.WriteString(transcriptHead)
	s.newUser()
	for _, p := range s.parts() {
		s.part(p.name, p.play)
	}
	if *record && !t.Failed() {
		s.must(s.write("../../docs/transcript.md"))
	}
}

const transcriptHead = `<!-- Written by make transcript. -->

# What an operator sees

Three servers, k3s1 to k3s3, with a stand-in for K3s that answers, hangs and dies as told.
An administrator puts 198.51.100.100 in front of them with the commands of the README,
then one thing after the other goes wrong. All commands and what they print are real;
nothing is left out but the head of apt's output. What was done by other means than a
command is said. Each part ends with everything mended, and with one holder.

The machines of this test have no clock that is kept right, of which vipd doctor warns
each time: plain VRRP, as here, goes without.
`

// play is a part of the session.
type play struct {
	name string
	play func()
}

func (s *session) parts() []play {
	return []play{
		{"The API server's process dies", s.apiKilled},
		{"The API server hangs", s.apiHangs},
		{"One server loses the datastore", s.datastoreLostOnOne},
		{"All servers lose the datastore", s.datastoreLostOnAll},
		{"The network cable of the holder", s.linkLost},
		{"The holder loses its power", s.powerLost},
		{"The network is split", s.parted},
		{"The agent is killed", s.agentKilled},
		{"The agent hangs", s.agentHangs},
		{"Somebody stopped the agent", s.agentStopped},
		{"Maintenance: drain and resume", s.drained},
		{"K3s is restarted", s.k3sRestarted},
		{"K3s does not start again", s.k3sFails},
		{"The holder is rebooted", s.rebooted},
		{"The agent is restarted", s.agentRestarted},
		{"A mistake in vipd.toml", s.mistaken},
		{"A wrong interface in vipd.toml", s.wrongInterface},
		{"A stranger uses the VRID", s.vridTaken},
		{"A firewall drops VRRP on one server", s.filtered},
		{"Another host has the VIP's address", s.addressTaken},
		{"The network manager, and somebody's script", s.addressDeleted},
		{"A server leaves, and comes back", s.removed},
		{"Another VIP", s.anotherVIP},
		{"A new version", s.upgraded},
		{"The night on one server", s.lookBack},
	}
}

// newUser installs vipd, as the README says.
func (s *session) newUser() {
	s.heading(2, "From nothing to a working VIP")
	readme, err := os.ReadFile("../../README.md")
	s.must(err)
	commands, err := installation(string(readme))
	s.must(err)
	file, err := current.file()
	s.must(err)
	for i, n := range s.nodes {
		s.must(n.CopyIn(file, "/home/admin/"+filepath.Base(file)))
		switch i {
		case 1:
			s.say("The second server hears the first, and joins it.")
		case 2:
			s.say("And the third.")
		}
		for _, line := range commands {
			s.installs(n, line)
		}
		s.until("the agent of "+n.name, func(ctx context.Context) error { _, err := n.status(ctx); return err })
		if i == 0 {
			s.shows(n, "sudo cat /etc/vipd/vipd.toml", `addresses\s*=\s*\["198.51.100.100"\]`, `vrid\s*=\s*100`)
		}
	}
	s.until("the site to be normal", func(ctx context.Context) error { return s.isNormal(ctx, (*node).status) })
	h, backups := s.holds()
	s.answers(h)
	s.say("Who has it, and is anything wrong?")
	s.shows(h, "sudo vipd status", `Active +this node`, `API server: ready`)
	s.shows(backups[0], "sudo vipd status", `Backup +`+h.address(), h.address()+` +ready 200`)
	s.keepAddresses(s.shows(backups[0], "sudo vipd doctor", `0 errors`, `networkd-drops-addresses`))
}

// keepAddresses does what vipd doctor says of systemd-networkd. A clock these machines
// have not.
func (s *session) keepAddresses(examined string) {
	s.Helper()
	found := regexp.MustCompile(`; (mkdir .*networkctl reload) \[networkd`).FindStringSubmatch(examined)
	if found == nil {
		s.Fatal("vipd doctor does not say what to do")
	}
	s.say("The second is mended on all three, as it says.")
	for _, n := range s.nodes {
		s.shows(n, `sudo sh -c "`+found[1]+`"`, `^$`)
	}
}

// installs runs a line of the installation, which has to succeed. Of apt it writes down
// what it says of the package.
func (s *session) installs(n *node, line string) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	out, err := n.admin(ctx, line)
	s.must(err)
	if _, rest, found := strings.Cut(out, "Setting up vipd"); found {
		out = "[...]\nSetting up vipd" + rest
	}
	s.note(n, line, out)
}

// answers wants a client outside to be answered at the VIP by a server.
func (s *session) answers(n *node) {
	s.Helper()
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	client, err := s.watch(ctx, cluster.VIP4, 10*clientInterval)
	s.must(err)
	s.must(client.Await(ctx, n.name))
	_, err = client.Stop()
	s.must(err)
}

func (s *session) apiKilled() {
	h, _ := s.holds()
	s.say("%s holds the VIP.", h.name)
	s.types(h, "sudo systemctl kill --signal=KILL --kill-whom=main k3s")
	now := s.successor(h)
	s.isState(h, "Backup")
	s.shows(h, "sudo vipd status", `API server: down for .*: `, `Backup +`+now.address(), `! |down`)
	s.shows(now, "sudo vipd history -n 1", `Backup -> Active +`+h.address()+` ranks as down`)
	s.answers(now)
	s.say("After five seconds systemd starts K3s again. The server takes part again, and the VIP stays where it is.")
	s.ranks(h, "ready")
	s.shows(h, "sudo vipd history -n 3", `ready -> down`, `Active -> Backup`, `down -> ready`)
}

func (s *session) apiHangs() {
	h, _ := s.holds()
	s.say("The process is there, port 6443 is open, and nobody answers.")
	s.types(h, "sudo systemctl kill --signal=STOP --kill-whom=main k3s")
	now := s.successor(h)
	s.isState(h, "Backup")
	s.shows(h, "sudo vipd status", `API server: down for .*: .*750ms`, `Backup +`+now.address())
	s.shows(h, "sudo vipd doctor", `no answer within .*api-unreachable`)
	s.types(h, "sudo systemctl kill --signal=CONT --kill-whom=main k3s")
	s.ranks(h, "ready")
	s.shows(h, "sudo vipd history -n 3", `ready -> down`, `Active -> Backup`, `down -> ready`)
}

func (s *session) datastoreLostOnOne() {
	h, _ := s.holds()
	s.say("On %s the API server no longer reaches its datastore. It answers, but is not ready.", h.name)
	s.must(h.setAPI(s.Context(), "etcd-lost"))
	s.ranks(h, "degraded")
	now := s.successor(h)
	s.isState(h, "Backup")
	s.shows(h, "sudo vipd status", `API server: degraded for .*: .*etcd`, `Backup +`+now.address())
	s.shows(h, "sudo vipd doctor", `api-unready`, `etcd`)
	s.shows(now, "sudo vipd history -n 1", h.address()+` ranks as degraded`)
	s.answers(now)
}

func (s *session) datastoreLostOnAll() {
	h, backups := s.holds()
	s.say("No server is better than another: the VIP stays where reads and the supervisor are still answered.")
	s.each(func(ctx context.Context, n *node) error { return n.setAPI(ctx, "etcd-lost") })
	for _, n := range s.nodes {
		s.ranks(n, "degraded")
	}
	s.shows(h, "sudo vipd status", `API server: degraded`, `Active +this node`, `degraded \d+ \(else 200\)`)
	s.shows(backups[0], "sudo vipd status", h.address()+` +degraded`, `Backup +`+h.address())
	s.shows(backups[0], "sudo vipd doctor", `api-unready`)
	s.answers(h)
	s.say("The datastore has a majority again.")
	s.each(func(ctx context.Context, n *node) error { return n.setAPI(ctx, "ready") })
	for _, n := range s.nodes {
		s.ranks(n, "ready")
	}
	h, _ = s.holds()
	s.shows(h, "sudo vipd history -n 3", `degraded -> ready`)
}

func (s *session) linkLost() {
	h, _ := s.holds()
	s.say("The cable of %s is pulled out. Its console still works.", h.name)
	s.must(s.lab.Unplug(h.port))
	now := s.successor(h)
	s.answers(now)
	s.shows(now, "sudo vipd history -n 1", `Backup -> Active +`+h.address()+` fell silent; gap `)
	s.isState(h, "Initialize")
	s.shows(h, "sudo vipd status", `Initialize`, `! .*eth0, which has no carrier`)
	s.shows(h, "sudo vipd doctor", `eth0 has no carrier.*interface-down`)
	s.say("It is back.")
	s.must(s.lab.Plug(h.port))
	s.isState(h, "Backup")
	s.until("it to hear the Active", s.hearsActive(h))
	s.shows(h, "sudo vipd history -n 3", `Active -> Initialize`, `Initialize -> Backup`)
}

func (s *session) powerLost() {
	h, _ := s.holds()
	s.say("%s is off, without a word.", h.name)
	s.must(h.powerOff())
	now := s.successor(h)
	s.answers(now)
	s.shows(now, "sudo vipd status", `Active +this node`, h.address()+` .*heard .* ago`, h.address()+` fell silent`)
	s.say("Its power is back.")
	s.must(h.powerOn(s.Context()))
	s.ranks(h, "ready")
	s.shows(h, "sudo vipd status", `Backup +`+now.address())
}

func (s *session) parted() {
	h, _ := s.holds()
	s.say("A switch fails: %s is alone on its half of the network. Each half has the VIP.", h.name)
	join := s.splitTo("apart", h)
	now := s.successor(h)
	s.answers(now)
	s.shows(h, "sudo vipd status", `Active +this node`)
	s.shows(now, "sudo vipd status", `Active +this node`, h.address()+` fell silent`)
	s.say("The switch is replaced. The two agree, and the loser says so.")
	join()
	s.until("the site to be normal", func(ctx context.Context) error { return s.isNormal(ctx, (*node).status) })
	winner, _ := s.holds()
	loser := h
	if winner == h {
		loser = now
	}
	s.answers(winner)
	s.shows(loser, "sudo vipd history -n 1", `Active -> Backup +.*`+winner.address())
}

func (s *session) agentKilled() {
	h, _ := s.holds()
	before := s.restarts(h)
	s.types(h, "sudo systemctl kill --signal=KILL --kill-whom=main vipd")
	now := s.successor(h)
	s.answers(now)
	s.shows(now, "sudo vipd history -n 2", `Backup -> Active +`+h.address()+` (left|fell silent)`)
	s.say("systemd starts it again after a second.")
	s.comesBack(h, before)
	s.shows(h, "sudo vipd history -n 5", `Initialize -> Backup`)
	s.shows(h, "sudo vipd doctor", `0 errors`)
}

func (s *session) agentHangs() {
	h, _ := s.holds()
	before := s.restarts(h)
	s.types(h, "sudo systemctl kill --signal=STOP --kill-whom=main vipd")
	now := s.successor(h)
	s.shows(now, "sudo vipd status", `Active +this node`, h.address()+` (left|fell silent)`)
	s.answers(now)
	s.say("systemd's watchdog ends it, and systemd starts it again.")
	s.comesBack(h, before)
	s.shows(h, "sudo vipd history -n 3", `Initialize -> Backup`)
}

// comesBack waits until systemd has started an agent again and it takes part.
func (s *session) comesBack(n *node, before string) {
	s.Helper()
	s.restarted(n, before)
	s.until("it to hear the Active", s.hearsActive(n))
	s.ranks(n, "ready")
}

func (s *session) agentStopped() {
	_, backups := s.holds()
	n := backups[0]
	s.types(n, "sudo systemctl stop vipd")
	s.shows(n, "sudo vipd status", `systemctl`)
	s.shows(n, "sudo vipd doctor", `start it with: systemctl start vipd \[agent-down\]`)
	s.shows(n, "vipd status", `root|running`)
	s.types(n, "sudo systemctl start vipd")
	s.ranks(n, "ready")
}

func (s *session) drained() {
	h, _ := s.holds()
	s.shows(h, "sudo vipd drain --wait", `holds`)
	now := s.successor(h)
	s.shows(h, "sudo vipd status", `DRAINED`, `down`, `Backup +`+now.address())
	s.say("K3s, kernel and all else can be worked on now. Then:")
	s.shows(h, "sudo vipd resume", `resumed|part`)
	s.shows(h, "sudo vipd history -n 3", `drained`, `Active -> Backup`)
}

func (s *session) rebooted() {
	h, _ := s.holds()
	s.say("Nobody thought of a drain. vipd-handover.service does.")
	s.note(h, "sudo systemctl reboot", "")
	s.must(h.reboot(s.Context()))
	now, _ := s.holds()
	s.shows(now, "sudo vipd history -n 1", `Backup -> Active +`+h.address()+` (ranks as down|left)`)
	s.ranks(h, "ready")
	s.shows(h, "sudo vipd status", `Backup +`+now.address())
}

func (s *session) k3sRestarted() {
	h, _ := s.holds()
	s.say("For an upgrade of K3s, or a change of its configuration.")
	s.shows(h, "sudo systemctl restart k3s", `^$`)
	now := s.successor(h)
	s.answers(now)
	s.ranks(h, "ready")
	s.shows(h, "sudo vipd history -n 5", `handing over: K3s is about to be stopped`, `Active -> Backup`, `drain for a stop of K3s is over`)
	s.shows(h, "sudo vipd status", `API server: ready`, `Backup +`+now.address())
}

func (s *session) k3sFails() {
	h, _ := s.holds()
	s.say("A flag of K3s is misspelt.")
	s.must(h.setFlags("--start-scale=no-number"))
	defer func() { s.must(h.setFlags("")) }()
	s.types(h, "sudo systemctl restart k3s")
	now := s.successor(h)
	s.ranks(h, "down")
	s.shows(h, "sudo vipd status", `API server: down`, `Backup +`+now.address())
	s.shows(h, "sudo vipd doctor", `api-unreachable`)
	s.answers(now)
	s.say("It is mended, and systemd, which tries again and again, has success.")
	s.must(h.setFlags(""))
	s.ranks(h, "ready")
	s.shows(h, "sudo vipd history -n 2", `(down -> ready|is over)`)
}

func (s *session) agentRestarted() {
	h, _ := s.holds()
	s.types(h, "sudo systemctl restart vipd")
	s.shows(h, "sudo vipd history -n 1", `Initialize -> Active +the agent was restarted and goes on`)
	s.shows(h, "sudo systemctl reload vipd", `^$`)
	s.shows(h, "sudo vipd status", `Active +this node`)
	s.answers(h)
}

func (s *session) mistaken() {
	h, _ := s.holds()
	s.types(h, `echo 'prority = 250' | sudo tee -a /etc/vipd/vipd.toml`)
	s.shows(h, "sudo vipd check", `vipd\.toml:\d+: `, `prority`)
	s.shows(h, "sudo systemctl reload vipd", `failed`)
	s.shows(h, "sudo journalctl -u vipd -n 3 -o cat", `nothing was changed`)
	s.shows(h, "sudo vipd status", `Active +this node`)
	s.say("Who restarts it all the same has the VIP elsewhere.")
	s.shows(h, "sudo systemctl restart vipd", `failed`)
	now := s.successor(h)
	s.answers(now)
	s.shows(h, "sudo vipd status", `systemctl`)
	s.shows(h, "sudo vipd doctor", `prority`)
	s.types(h, `sudo sed -i '/^prority/d' /etc/vipd/vipd.toml`)
	s.shows(h, "sudo systemctl start vipd", `^$`)
	s.ranks(h, "ready")
	s.shows(h, "sudo vipd status", `Backup +`+now.address())
}

func (s *session) addressDeleted() {
	h, _ := s.holds()
	s.say("systemd-networkd was told above to leave addresses of others alone. A script that does not know better is not.")
	s.shows(h, "sudo networkctl reconfigure eth0", `^$`)
	both := h.address() + `/24.* 198\.51\.100\.100/32`
	s.until("both addresses to be there", func(ctx context.Context) error { return s.isNormal(ctx, (*node).status) })
	s.shows(h, "ip -brief address show eth0", both)
	s.types(h, "sudo ip address delete 198.51.100.100/32 dev eth0")
	s.until("the VIP to be back", func(ctx context.Context) error { return s.isNormal(ctx, (*node).status) })
	s.shows(h, "ip -brief address show eth0", both)
	s.shows(h, "sudo vipd history -n 1")
	s.answers(h)
}

func (s *session) removed() {
	h, _ := s.holds()
	s.shows(h, "sudo vipd drain --wait", `holds no VIP`)
	now := s.successor(h)
	s.types(h, "sudo systemctl disable --now vipd")
	s.answers(now)
	s.shows(now, "sudo vipd status", `Active +this node`)
	s.say("Its drain outlives the agent. It would be over with a reboot.")
	s.types(h, "sudo systemctl enable --now vipd")
	s.shows(h, "sudo vipd status", `DRAINED`)
	s.shows(h, "sudo vipd resume", `resumed|part`)
	s.ranks(h, "ready")
	s.shows(h, "sudo vipd doctor", `0 errors`)
}

const another = `\n[[vip]]\nname = "new"\naddresses = ["198.51.100.101"]\nvrid = 101\n`

func (s *session) anotherVIP() {
	s.say("Clients are to move from one address to another at their leisure.")
	for _, n := range s.nodes {
		s.types(n, `printf '`+another+`' | sudo tee -a /etc/vipd/vipd.toml >/dev/null`)
		s.shows(n, "sudo vipd reload", `added: 1`)
	}
	s.until("each to have one holder", func(ctx context.Context) error { return s.isNormal(ctx, (*node).status) })
	h, _ := s.holds()
	s.shows(h, "sudo vipd status", `k3s +198\.51\.100\.100`, `new +198\.51\.100\.101`)
	s.say("And back.")
	for _, n := range s.nodes {
		s.types(n, `sudo sed -i '/^\[\[vip\]\]/{N;/"new"/{N;N;d}}' /etc/vipd/vipd.toml`)
		s.shows(n, "sudo vipd reload", `removed: 1`)
	}
}

func (s *session) upgraded() {
	s.say("One server after the other, in any order. The VIP stays where it is.")
	before, _ := s.holds()
	file, err := later.file()
	s.must(err)
	name := filepath.Base(file)
	for _, n := range s.nodes {
		s.must(n.CopyIn(file, "/home/admin/"+name))
		s.installs(n, "sudo apt install ./"+name)
		s.isVersion(n, versionOf(name))
	}
	h, _ := s.holds()
	if h != before {
		s.Errorf("the VIP has moved from %s to %s", before.name, h.name)
	}
	s.shows(h, "sudo vipd history -n 2", `Initialize -> Active +the agent was restarted and goes on`)
	s.answers(h)
}

func (s *session) wrongInterface() {
	_, backups := s.holds()
	n := backups[0]
	s.say("A second cable was planned for %s, and is not there yet.", n.name)
	s.types(n, `sudo sed -i 's/^vrid\b/interface = "eth1"\n&/' /etc/vipd/vipd.toml`)
	s.types(n, "sudo vipd check")
	s.types(n, "sudo systemctl reload vipd")
	s.isState(n, "Initialize")
	s.shows(n, "sudo vipd status", `Initialize`, `! .*eth1`)
	s.shows(n, "sudo vipd doctor", `interface-missing`)
	s.types(n, `sudo sed -i '/^interface = "eth1"/d' /etc/vipd/vipd.toml`)
	s.types(n, "sudo systemctl reload vipd")
	s.isState(n, "Backup")
}

func (s *session) vridTaken() {
	h, _ := s.holds()
	s.say("A router at 198.51.100.1, of which nobody knew, uses the VRID of the servers for an address of its own.")
	stop := s.stranger(h)
	defer stop()
	s.until("somebody to complain", func(ctx context.Context) error { return s.complaints(ctx, h, true) })
	s.shows(h, "sudo vipd status", `! .*198\.51\.100\.1 uses VRID 100 for other addresses`)
	s.shows(h, "sudo vipd doctor", `vrid-stranger`, `vipd init --output -`)
	s.shows(h, "sudo vipd watch --duration 1s", `198\.51\.100\.1 .*198\.51\.100\.200`)
	s.say("As it says, a free one, the same on all servers. Or the stranger goes, as here.")
	s.shows(h, "sudo vipd init --output - --address 198.51.100.100 | grep vrid", `vrid\s*=\s*101`)
	stop()
	s.until("the site to be normal", func(ctx context.Context) error { return s.isNormal(ctx, (*node).status) })
	h, _ = s.holds()
	s.shows(h, "sudo vipd history -n 2", `198\.51\.100\.1 `)
	s.say("Half a minute later the line about it is gone from the status.")
	s.until("nobody to complain any more", func(ctx context.Context) error { return s.complaints(ctx, h, false) })
}

// complaints wants a server to say that something is wrong with the VIP, or nothing.
func (s *session) complaints(ctx context.Context, n *node, some bool) error {
	st, err := n.status(ctx)
	if err == nil && (len(st.Routers) == 0 || (len(st.Routers[0].Problems) > 0) != some) {
		err = fmt.Errorf("it says %+v", st.Routers)
	}
	return err
}

const strangersConfig = `[[check]]
type = "none"
[[vip]]
name = "other"
addresses = ["198.51.100.200"]
vrid = 100
priority = 250
`

// stranger starts a router with the VRID of the servers and another address, at the
// client's place, and returns how to stop it.
func (s *session) stranger(n *node) (stop func()) {
	s.Helper()
	dir := s.path("stranger")
	s.must(os.MkdirAll(dir, 0o755))
	s.must(os.WriteFile(filepath.Join(dir, "vipd.toml"), []byte(strangersConfig), 0o644))
	cmd := exec.Command(n.Path("/usr/bin/vipd"), "run", "--config", filepath.Join(dir, "vipd.toml"), "--runtime-dir", dir)
	s.must(s.site.client.Start(cmd))
	return func() {
		if cmd.ProcessState == nil {
			_ = cmd.Process.Signal(os.Interrupt)
			_ = cmd.Wait() // how it ends is its own affair
		}
	}
}

// filtered has a firewall on a server that hears the holder no longer, and whose
// address is the lower one: the holder, which hears it, does not yield.
func (s *session) filtered() {
	s.moveTo(s.nodes[2])
	h, n := s.nodes[2], s.nodes[0]
	s.say("%s holds the VIP. Somebody hardens %s.", h.name, n.name)
	s.types(n, `sudo nft 'add table inet guard; add chain inet guard input { type filter hook input priority 0; }; add rule inet guard input ip protocol 112 drop'`)
	s.isState(n, "Active")
	for _, m := range []*node{h, n} {
		s.until(m.name+" to complain", func(ctx context.Context) error { return s.complaints(ctx, m, true) })
	}
	s.shows(n, "sudo vipd status", `Active +this node`, `! .*also claimed`)
	const remedy = "nft insert rule inet guard input meta l4proto 112 accept"
	s.shows(n, "sudo vipd doctor", remedy+`.*firewall-drops`, `peer-filtered`, `they do not hear each other.*vip-elsewhere`)
	s.shows(n, "sudo vipd watch --duration 1s", h.address())
	s.shows(h, "sudo vipd status", `Active +this node`, `! .*`+n.address()+`.* does not hear us`)
	s.shows(h, "sudo vipd doctor", `they do not hear each other.*vip-elsewhere`)
	s.types(n, "sudo "+remedy)
	s.isState(n, "Backup")
	s.shows(n, "sudo vipd history -n 2", `Active -> Backup`)
	s.answers(h)
	s.until("the holder not to complain any more", func(ctx context.Context) error { return s.complaints(ctx, h, false) })
}

// moveTo has a server hold the VIP.
func (s *session) moveTo(n *node) {
	s.Helper()
	for range len(s.nodes) {
		h, _ := s.holds()
		if h == n {
			break
		}
		_, err := h.Run(s.Context(), "vipd", "drain", "--wait")
		s.must(err)
		s.successor(h)
	}
	ctx, cancel := context.WithTimeout(s.Context(), patience)
	defer cancel()
	s.must(s.restore(ctx))
	if h, _ := s.holds(); h != n {
		s.Fatalf("%s holds the VIP, not %s", h.name, n.name)
	}
}

func (s *session) addressTaken() {
	h, _ := s.holds()
	s.say("A machine of somebody else gets 198.51.100.100 as its fixed address.")
	onClient := func(args ...string) {
		s.Helper()
		_, err := s.site.client.Run("ip", args...)
		s.must(err)
	}
	onClient("address", "add", "198.51.100.100/32", "dev", "eth0")
	defer onClient("address", "delete", "198.51.100.100/32", "dev", "eth0")
	s.shows(h, "sudo vipd doctor", `vip-elsewhere`)
	s.shows(h, "sudo vipd status")
}

func (s *session) lookBack() {
	var n *node
	most := 0
	for _, m := range s.nodes {
		events, err := control.NewClient(control.Socket(m.Live("/run/vipd"))).History(s.Context())
		s.must(err)
		if len(events) > most {
			n, most = m, len(events)
		}
	}
	s.shows(n, "sudo vipd history", `Active`)
	s.say("The same is in the journal, with fields to search by.")
	s.shows(n, "sudo journalctl -u vipd VIPD_STATE=Active -o cat -n 3")
}

// TestSessionIsWrittenDown looks at a page without any machine.
func TestSessionIsWrittenDown(t *testing.T) {
	s := &session{trial: &trial{T: t}}
	n := &node{name: "k3s1"}
	s.heading(2, "One")
	s.say("%d words.", 2)
	s.note(n, "one", "out \n")
	s.note(n, "two", "")
	s.say("More.")
	s.note(n, "three", "last")
	path := filepath.Join(t.TempDir(), "page.md")
	must(t, s.write(path))
	got, err := os.ReadFile(path)
	must(t, err)
	const want = "\n## One\n\n2 words.\n\n```console\nadmin@k3s1:~$ one\nout\nadmin@k3s1:~$ two\n```\n\nMore.\n\n```console\nadmin@k3s1:~$ three\nlast\n```\n"
	if string(got) != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
