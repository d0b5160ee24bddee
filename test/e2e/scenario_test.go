package e2e

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
)

// scenario is something that happens to the site, and what a client may see of it.
// Each begins with a site that is normal, and ends with one: what the fault leaves
// stopped, drained or off is brought back.
type scenario struct {
	name  string
	times int // how often; 0 means once
	// fault does it, with a client watching, and returns when it is over.
	fault  func(*trial)
	limits limits
	// also says what fault checks besides, for the report.
	also string
}

// limits are what a client may see. Gaps are times without any answer.
type limits struct {
	failed int           // connections that fail: refused, timed out, unanswered, unreachable
	resets int           // connections that are cut off in flight
	gap    time.Duration // the longest
	median time.Duration // of the longest gaps, where there are several runs; 0: not asked for
	moves  int           // of the VIP; anyNumber: not asked for
}

// aftermath is how long the client goes on after a fault, so that each connection
// that it has begun comes to its end.
const aftermath = clientTimeout + 100*time.Millisecond

// anyNumber of failed connections allows all that fall into the gap, resets too.
const anyNumber = -1

// trial is a run of a scenario.
type trial struct {
	*testing.T
	*site
	client *probe.Process
	first  *node // that held the VIP when it began
}

// play runs a scenario as a test, and writes down what the client saw. It returns
// whether the site is normal again.
func (s *site) play(t *testing.T, sc scenario, out *report) bool {
	normal := true
	t.Run(sc.name, func(t *testing.T) {
		began := time.Now()
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			if err := s.restore(ctx); err != nil {
				t.Error(err)
				normal = false
			}
			if t.Failed() {
				s.tell(t, began)
			}
		})
		var seen []probe.Report
		for i := range max(1, sc.times) {
			if i > 0 {
				s.restoreIn(t)
			}
			seen = append(seen, s.once(t, sc))
		}
		must(t, out.add(row{name: sc.name, asserted: sc.asserted(), seen: seen}))
		sc.limits.check(t, seen)
	})
	return normal
}

// once is one run, with a client of its own.
func (s *site) once(t *testing.T, sc scenario) probe.Report {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	first, err := s.holder(ctx)
	must(t, err)
	client, err := s.watch(ctx, cluster.VIP4, clientInterval)
	must(t, err)
	sc.fault(&trial{T: t, site: s, client: client, first: first})
	<-time.After(aftermath)
	r, err := client.Stop()
	must(t, err)
	t.Logf("client: %v, longest gap %v (noise %v), changes %+v, idle %+v", r.Outcomes, r.LongestGap.Length(), r.Noise, r.Changes, r.Drops)
	return r
}

func (s *site) restoreIn(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	must(t, s.restore(ctx))
}

// tell logs what the machines have said since then.
func (s *site) tell(t *testing.T, since time.Time) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, n := range s.nodes {
		t.Log(n.accounts(ctx, since))
	}
}

// must ends the trial if there is an error.
func (x *trial) must(err error) {
	x.Helper()
	must(x.T, err)
}

// on runs a command on a node, as root, and returns what it printed.
func (x *trial) on(n *node, command ...string) string {
	x.Helper()
	ctx, cancel := context.WithTimeout(x.Context(), patience)
	defer cancel()
	out, err := n.Run(ctx, command...)
	x.must(err)
	return out
}

// until waits for a condition.
func (x *trial) until(what string, check func(context.Context) error) {
	x.Helper()
	ctx, cancel := context.WithTimeout(x.Context(), patience)
	defer cancel()
	x.must(await(ctx, what, func() error { return check(ctx) }))
}

// moved waits until another node than the first holds the VIP and answers the client,
// and the first has let go. It returns that node.
func (x *trial) moved() *node {
	x.Helper()
	return x.movedFrom(x.first)
}

// movedFrom is moved, where it was another node that held the VIP.
func (x *trial) movedFrom(last *node) *node {
	x.Helper()
	var now *node
	x.until("the VIP to move", func(ctx context.Context) error {
		n, err := x.holder(ctx)
		if err != nil || n == last {
			return fmt.Errorf("it is still on %s: %w", last.name, err)
		}
		now = n
		return nil
	})
	ctx, cancel := context.WithTimeout(x.Context(), patience)
	defer cancel()
	x.must(x.client.Await(ctx, now.name))
	return now
}

// backup returns a node that does not hold the VIP.
func (x *trial) backup() *node {
	i := slices.IndexFunc(x.nodes, func(n *node) bool { return n != x.first })
	return x.nodes[i]
}

// stays checks that a node holds the VIP for as long as d.
func (x *trial) stays(n *node, d time.Duration) {
	x.Helper()
	for end := time.Now().Add(d); time.Now().Before(end); {
		if now, err := x.holder(x.Context()); err != nil || now != n {
			x.Fatalf("%s no longer holds the VIP: %v", n.name, err)
		}
		<-time.After(50 * time.Millisecond)
	}
}

// ranks wants a node to rank as the grade in vipd status --json.
func (x *trial) ranks(n *node, grade string) {
	x.Helper()
	x.until(n.name+" to rank as "+grade, func(ctx context.Context) error {
		st, err := n.status(ctx)
		if err != nil {
			return err
		}
		if len(st.Routers) == 0 || st.Routers[0].Grade != grade {
			return fmt.Errorf("%s is %+v", n.name, st.Routers)
		}
		return nil
	})
}

// busy is what a host that does other things too may add to the time without an answer, where
// the client's noise does not show it: a machine that boots beside the others keeps them
// waiting. The figures that are published are measured without it.
const busy = 200 * time.Millisecond

func (l limits) check(t *testing.T, seen []probe.Report) {
	t.Helper()
	spare := busy
	if *record {
		spare = 0
	}
	for i, r := range seen {
		// A client that stood still itself has seen no gap.
		if gap := r.LongestGap.Length(); gap > l.gap+spare+r.Noise {
			t.Errorf("run %d: %v without an answer, want at most %v, %v for a busy host and %v for the client's noise", i+1, gap, l.gap, spare, r.Noise)
		}
		if n := len(r.Changes) - 1; n != l.moves && l.moves != anyNumber {
			t.Errorf("run %d: %d moves, want %d: %+v", i+1, n, l.moves, r.Changes)
		}
		if l.failed == anyNumber {
			continue
		}
		if r.Failed > l.failed {
			t.Errorf("run %d: %d connections failed, want at most %d; the first: %+v", i+1, r.Failed, l.failed, r.Failures[0])
		}
		// On a busy machine handshakes take longer, and so more of them are in flight, at each move.
		more := int(r.Noise/clientInterval) * max(1, len(r.Changes)-1)
		if n := r.Outcomes[probe.Reset]; n > l.resets+more && l.resets > 0 || l.resets == 0 && n > 0 {
			t.Errorf("run %d: %d connections were reset, want at most %d and %d for the noise", i+1, n, l.resets, more)
		}
	}
	if m := medianGap(seen); l.median > 0 && m > l.median+spare {
		t.Errorf("a median of %v without an answer, want at most %v, and %v for a busy host", m, l.median, spare)
	}
}

// asserted says the limits in words, and what the fault checks besides.
func (sc scenario) asserted() string {
	l := sc.limits
	var out []string
	switch {
	case l.failed == 0 && l.resets == 0:
		out = append(out, "no connection fails")
	case l.failed == 0:
		out = append(out, fmt.Sprintf("no connection fails, at most %d cut off in flight", l.resets))
	case l.failed > 0:
		out = append(out, fmt.Sprintf("at most %d connections fail", l.failed))
	}
	switch l.moves {
	case anyNumber:
	case 0:
		out = append(out, "the VIP stays")
	case 1:
		out = append(out, "it moves once")
	default:
		out = append(out, fmt.Sprintf("it moves %d times", l.moves))
	}
	gap := "no gap over " + short(l.gap)
	if l.median > 0 {
		gap += ", median at most " + short(l.median)
	}
	out = append(out, gap)
	if sc.also != "" {
		out = append(out, sc.also)
	}
	return strings.Join(out, "; ")
}

func medianGap(seen []probe.Report) time.Duration {
	var gaps []time.Duration
	for _, r := range seen {
		gaps = append(gaps, r.LongestGap.Length())
	}
	slices.Sort(gaps)
	return gaps[len(gaps)/2]
}
