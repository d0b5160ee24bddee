package conformance

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// The API server dies: seen at once, not after a number of polls.
func TestAPIKilled(t *testing.T) {
	c := start(t, 3, nil)
	p := watch(t, c)
	must(t, c.Servers[0].SignalAPI(syscall.SIGKILL))
	await(t, p, "node2")
	if r := report(t, p); len(r.Changes) != 2 || r.Changes[1].Outage > time.Second {
		t.Errorf("moves: %+v", r.Changes)
	}
	out, err := c.Servers[0].Vipd("history")
	must(t, err)
	if !strings.Contains(out, "198.51.100.12 has taken over") || !strings.Contains(out, "connection refused") {
		t.Errorf("the history does not say why:\n%s", out)
	}
}

func TestAPIHangs(t *testing.T) {
	c := start(t, 3, nil)
	p := watch(t, c)
	must(t, c.Servers[0].SignalAPI(syscall.SIGSTOP))
	await(t, p, "node2")
	report(t, p)
	must(t, c.Servers[0].SignalAPI(syscall.SIGCONT))
	until(t, "the first to take the VIP back", func() error { return is(c.Servers[0], "Active") })
}

// When every API server is down, the holder stays, and if it dies another takes over.
func TestLastResort(t *testing.T) {
	c := start(t, 2, nil)
	for _, s := range c.Servers {
		must(t, s.SignalAPI(syscall.SIGKILL))
	}
	graded(t, c, "down")
	h, err := c.Holder(t.Context())
	must(t, err)
	stays(t, 2*time.Second, "the holder", func() error { return is(h, "Active") })
	must(t, h.Die())
	for _, s := range c.Servers {
		if s != h {
			until(t, "the other to take over", func() error { return is(s, "Active") })
		}
	}
}

// longestLease is the lease, and how late the kernel may be to end it.
const longestLease = 2*time.Second + 1400*time.Millisecond

func TestC32LeaseRunsOut(t *testing.T) {
	c := start(t, 2, nil)
	kill(t, c.Servers[0])
	killed := time.Now()
	until(t, "the lease to run out", func() error { return has(c.Servers[0], false) })
	if took := time.Since(killed); took > longestLease {
		t.Errorf("the address stayed for %v", took)
	}
}

func TestC33StoppedAgent(t *testing.T) {
	c := start(t, 2, nil)
	h := c.Servers[0]
	must(t, h.SignalAgent(syscall.SIGSTOP))
	stopped := time.Now()
	until(t, "the lease to run out", func() error { return has(h, false) })
	if took := time.Since(stopped); took > longestLease {
		t.Errorf("the address stayed for %v", took)
	}
	until(t, "the other to take over", func() error { return is(c.Servers[1], "Active") })
	must(t, h.SignalAgent(syscall.SIGCONT))
	until(t, "the stopped one to learn of its successor", func() error { return is(h, "Backup") })
	out, err := h.Vipd("history")
	must(t, err)
	if !strings.Contains(out, "stood still") {
		t.Errorf("the history does not say why:\n%s", out)
	}
	until(t, "it to take the VIP back", func() error { return is(h, "Active") })
}

func TestC34ExternalDelete(t *testing.T) {
	c := start(t, 2, nil)
	h := c.Servers[0]
	p := watch(t, c)
	_, err := h.Node.Run("ip", "address", "del", "198.51.100.100/32", "dev", "eth0")
	must(t, err)
	until(t, "the address to come back", func() error { return has(h, true) })
	stays(t, time.Second, "the holder", func() error { return is(h, "Active") })
	if r := report(t, p); len(r.Changes) != 1 {
		t.Errorf("moves: %+v", r.Changes)
	}
}

func TestC35LeftoverIsRemoved(t *testing.T) {
	c := start(t, 2, nil)
	h := c.Servers[1]
	until(t, "the address of an earlier term to be gone", func() error { return has(h, false) })
	kill(t, h)
	_, err := h.Node.Run("ip", "address", "add", "198.51.100.100/32", "dev", "eth0")
	must(t, err)
	must(t, h.RestartAgent())
	until(t, "the leftover to go", func() error { return has(h, false) })
}

// One server hears nothing of the others, and they hear it: both are Active, and
// clients converge on the one that hears the other, which names the deaf one.
func TestC52OneWayLoss(t *testing.T) {
	c := start(t, 3, nil)
	deaf := c.Servers[1]
	deny(t, deaf, "input")
	until(t, "the deaf one to be Active", func() error { return is(deaf, "Active") })
	until(t, "its name in the status", func() error { return says(c.Servers[0], "198.51.100.12 advertises priority 240") })
	p := watch(t, c)
	await(t, p, "node1")
	stays(t, 2*time.Second, "the holder", func() error { return is(c.Servers[0], "Active") })
	r := report(t, p)
	if last := r.Changes[len(r.Changes)-1]; last.To != "node1" {
		t.Errorf("clients are at %s", last.To)
	}
	// The deaf one announces itself still, and each time the other has the last word.
	for i := 1; i+1 < len(r.Changes); i++ {
		if d := r.Changes[i+1].At - r.Changes[i].At; r.Changes[i].To == "node2" && d > 300*time.Millisecond {
			t.Errorf("a client was at node2 for %v: %+v", d, r.Changes)
		}
	}
	if n := lost(r); n > 0 {
		t.Errorf("%d connections were lost", n)
	}
	allow(t, deaf)
	until(t, "the deaf one to be Backup", func() error { return is(deaf, "Backup") })
}

// A partition heals: clients reach the winner within a second, each time.
func TestC53PartitionHeals(t *testing.T) {
	c := start(t, 3, nil)
	first := c.Servers[0]
	for range 3 {
		must(t, c.Lab.Cut(first.Node))
		until(t, "the others to take over", func() error { return is(c.Servers[1], "Active") })
		p := watch(t, c)
		await(t, p, "node2")
		must(t, c.Lab.Join(first.Node))
		await(t, p, "node1")
		until(t, "the others to yield", func() error { return is(c.Servers[1], "Backup") })
		r := report(t, p)
		if last := r.Changes[len(r.Changes)-1]; last.To != "node1" || last.Outage > time.Second {
			t.Errorf("moves: %+v", r.Changes)
		}
	}
}

// The holder cannot send: it keeps the address until another has taken over, and says so.
func TestC58Mute(t *testing.T) {
	c := start(t, 2, nil)
	h := c.Servers[0]
	deny(t, h, "output")
	until(t, "the other to take over", func() error { return is(c.Servers[1], "Active") })
	until(t, "the mute one to yield", func() error { return is(h, "Backup") })
	stays(t, 2*time.Second, "the mute one", func() error { return is(h, "Backup") })
	allow(t, h)
	until(t, "it to take the VIP back", func() error { return is(h, "Active") })
}

// With nobody to take over, a mute holder says so and stays.
func TestC58MuteAlone(t *testing.T) {
	c := start(t, 1, nil)
	deny(t, c.Servers[0], "output")
	until(t, "it to say so", func() error { return says(c.Servers[0], "advertisements do not go out") })
	must(t, is(c.Servers[0], "Active"))
}

// A firewall drops protocol 112 everywhere: each server is Active, and each says
// so when it has peers by address.
func TestC59FirewallEverywhere(t *testing.T) {
	c := prepare(t, 2, func(s *cluster.Server) string {
		return cluster.DefaultConfig(s) + "peers = [\"198.51.100.11\", \"198.51.100.12\"]\n"
	})
	for _, s := range c.Servers {
		deny(t, s, "input")
		must(t, s.StartAPI("ready"))
		must(t, s.StartAgent())
	}
	for _, s := range c.Servers {
		until(t, "it to say so", func() error { return says(s, "no peer was ever heard") })
	}
	for _, s := range c.Servers {
		allow(t, s)
	}
	until(t, "one to yield", func() error { return is(c.Servers[1], "Backup") })
	must(t, is(c.Servers[0], "Active"))
}

// The last holder has nobody to wait for, and still lets go.
func TestReleaseAlone(t *testing.T) {
	c := start(t, 1, nil)
	s := c.Servers[0]
	kill(t, s)
	_, err := s.Vipd("release")
	must(t, err)
	must(t, has(s, false))
}

func TestC73CrashedAgents(t *testing.T) {
	c := start(t, 3, nil)
	w, err := cluster.Listen(t.Context(), c.Client)
	must(t, err)
	defer w.Stop()

	backup := c.Servers[2]
	kill(t, backup)
	out, err := backup.Vipd("release")
	must(t, err)
	if strings.Contains(out, "told the peers") {
		t.Errorf("the release of a Backup printed %q", out)
	}

	holder := c.Servers[0]
	p := watch(t, c)
	kill(t, holder)
	killed := time.Now()
	out, err = holder.Vipd("release")
	must(t, err)
	if !strings.Contains(out, "told the peers") || !strings.Contains(out, "198.51.100.100") {
		t.Errorf("the release of the holder printed %q", out)
	}
	must(t, has(holder, false))
	must(t, is(c.Servers[1], "Active"))
	t.Logf("taken over after %v at most", time.Since(killed))
	await(t, p, c.Servers[1].Name)
	checkMove(t, report(t, p), c.Servers[1].Name) // the API outlived the agent: nothing is lost
	for _, s := range w.Heard() {
		if s.Priority == 0 && s.Src != holder.Addr {
			t.Errorf("priority 0 from %v", s.Src)
		}
	}
}

// deny makes a server's firewall drop protocol 112 at a hook.
func deny(t *testing.T, s *cluster.Server, hook string) {
	t.Helper()
	lab.Require(t, "nft")
	rules := fmt.Sprintf("add table inet test\nadd chain inet test c { type filter hook %s priority 0; }\nadd rule inet test c meta l4proto 112 drop\n", hook)
	_, err := s.Node.Run("sh", "-c", "printf '%s' '"+rules+"' | nft -f -")
	must(t, err)
}

func allow(t *testing.T, s *cluster.Server) {
	t.Helper()
	_, err := s.Node.Run("nft", "delete", "table", "inet", "test")
	must(t, err)
}

// Another host has the VIP: the holder says so, with its MAC, and stays.
func TestAddressConflictIsTold(t *testing.T) {
	c := prepare(t, 1, nil)
	_, err := c.Client.Run("ip", "address", "add", "198.51.100.100/32", "dev", "eth0")
	must(t, err)
	s := c.Servers[0]
	must(t, s.StartAPI("ready"))
	must(t, s.StartAgent())
	until(t, "the conflict to be told", func() error { return says(s, "198.51.100.100 is also claimed by the station with MAC") })
	must(t, is(s, "Active"))
}
