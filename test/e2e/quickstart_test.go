package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/standin/pki"
)

// block is one of sh on a page: its first line, a comment, says where to type the others.
type block struct {
	where string
	lines []string
}

// notHere are the places of docs/quickstart.md that the machines of these tests have not.
var notHere = map[string]string{
	"on every server, with firewalld":          "there is no firewalld; test/docs has one",
	"on every server, with ufw from 0.36.2 on": "there is no ufw; test/docs has one",
	"on your own machine":                      "there is neither kubectl nor ssh; the client of the tests asks in their place",
	"on each machine that only runs pods":      "the stand-in has no agents of K3s",
}

// TestQuickStart types what docs/quickstart.md says, from its top to its bottom, on three
// machines that have nothing yet. In the place of K3s and of its installer there is the
// stand-in: see testdata/quickstart. What is typed elsewhere is in notHere.
func TestQuickStart(t *testing.T) {
	page, err := os.ReadFile("../../docs/quickstart.md")
	must(t, err)
	q := &quickStart{session: &session{trial: &trial{T: t, site: newSite(t)}}}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	began := time.Now()
	t.Cleanup(func() {
		if t.Failed() {
			q.tell(t, began)
		}
	})
	must(t, q.boot(ctx))
	must(t, q.provide())
	for _, b := range blocks(string(page)) {
		if why, ok := notHere[b.where]; ok {
			t.Logf("not typed %s: %s", b.where, why)
			continue
		}
		must(t, q.typed(ctx, b))
	}
	if q.installed != len(q.nodes) || !q.broken {
		t.Errorf("the page installs %d servers, and breaks one: %v", q.installed, q.broken)
	}
}

// quickStart is how far the reader has come.
type quickStart struct {
	*session
	installed int // servers that have vipd
	broken    bool
}

// provide puts on the machines what a reader gets from the network.
func (q *quickStart) provide() error {
	if err := pki.Ensure(pki.Config{DataDir: q.path("k3s"), CADir: q.path("ca")}); err != nil {
		return err
	}
	file, err := current.file()
	if err != nil {
		return err
	}
	for _, n := range q.nodes {
		if err := q.copyK3s(n); err != nil {
			return err
		}
		for from, to := range map[string]string{
			file:                             "/home/admin/" + filepath.Base(file),
			"testdata/quickstart/curl":       "/usr/local/bin/curl",
			"testdata/quickstart/get.k3s.io": "/usr/local/share/quickstart/get.k3s.io",
			"testdata/k3s.service":           "/usr/local/share/quickstart/k3s.service",
		} {
			if err := n.CopyIn(from, to); err != nil {
				return err
			}
		}
	}
	return nil
}

// typed types the lines of a block where it says, on several servers at the same time.
func (q *quickStart) typed(ctx context.Context, b block) error {
	if b.where == "on the server that is Active" {
		return q.breaks(ctx, b.lines)
	}
	servers := map[string][]*node{
		"on the first server":                q.nodes[:1],
		"on the second server":               q.nodes[1:2],
		"on the third server":                q.nodes[2:],
		"on the second server and the third": q.nodes[1:],
		"on every server":                    q.nodes,
	}[b.where]
	if len(servers) == 0 {
		return fmt.Errorf("where is %q?", b.where)
	}
	g, each := errgroup.WithContext(ctx)
	for _, n := range servers {
		g.Go(func() error { return q.succeed(each, n, b.lines) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if strings.Contains(strings.Join(b.lines, "\n"), "enable --now vipd") {
		q.installed += len(servers)
		q.serves()
	}
	return nil
}

// succeed types lines on a server, each of which has to succeed: of vipd doctor that means that
// nothing is marked as error.
func (q *quickStart) succeed(ctx context.Context, n *node, lines []string) error {
	for _, line := range lines {
		out, err := n.admin(ctx, line)
		q.Logf("admin@%s$ %s\n%s", n.name, line, out)
		if err != nil {
			return err
		}
		if strings.Contains(line, "vipd init") && strings.Contains(out, "K3s") {
			return fmt.Errorf("%s: K3s was told all that the page says, and vipd init notes: %s", n.name, out)
		}
	}
	return nil
}

// serves wants the VIP to be there, and the servers that have vipd to be as the page says.
func (q *quickStart) serves() {
	q.Helper()
	if q.installed == len(q.nodes) {
		q.until("one server to hold the VIP, and the others to hear it", func(ctx context.Context) error { return q.isNormal(ctx, (*node).status) })
		q.must(q.sameConfig())
		return
	}
	q.isState(q.nodes[0], "Active")
	q.shows(q.nodes[0], "sudo vipd status", `API server: ready`, `k3s +198\.51\.100\.100 +Active +this node .* ready 200 `, `Backup -> Active +no other router was heard`)
	q.answers(q.nodes[0])
}

// breaks kills K3s on the Active, and wants outside and inside what the page says of that.
func (q *quickStart) breaks(ctx context.Context, lines []string) error {
	q.broken = true
	h, _ := q.holds()
	client, err := q.watch(ctx, cluster.VIP4, 100*time.Millisecond)
	if err != nil {
		return err
	}
	if err := q.succeed(ctx, h, lines); err != nil {
		return err
	}
	now := q.successor(h)
	if err := client.Await(ctx, now.name); err != nil {
		return err
	}
	q.until(h.name+" to be ready again", func(ctx context.Context) error { return q.isNormal(ctx, (*node).status) })
	seen, err := client.Stop()
	if err != nil {
		return err
	}
	if lost := seen.Attempts - seen.Outcomes[probe.OK]; lost > 2 {
		q.Errorf("%d of %d connections had no answer: %v", lost, seen.Attempts, seen.Outcomes)
	}
	q.shows(h, "sudo vipd history -n 3", `health +ready -> down +api down: `, `k3s IPv4 +Active -> Backup +api down: .*; `+now.address()+` has taken over`, `health +down -> ready +ready`)
	return nil
}

// blocks returns those of sh on a page, with the addresses of the lab.
func blocks(page string) []block {
	var all []block
	for _, m := range inBlock.FindAllStringSubmatch(page, -1) {
		where, lines, _ := strings.Cut(strings.TrimSpace(m[1]), "\n")
		lines = strings.ReplaceAll(lines, "192.0.2.", "198.51.100.")
		all = append(all, block{strings.TrimPrefix(where, "# "), strings.Split(lines, "\n")})
	}
	return all
}
