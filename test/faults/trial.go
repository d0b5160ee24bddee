package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

const (
	// patience is how long anything may take that has to happen in a run.
	patience = 40 * time.Second
	// calm is how long all is well before the fault: what follows a claim is over then.
	calm = 3200 * time.Millisecond
	// aftermath is how long the client goes on, so that each connection that it has
	// begun comes to its end.
	aftermath = 3100 * time.Millisecond
)

// trial is a run of a fault.
type trial struct {
	*cluster.Cluster
	options
	variant
	*diary
	ctx    context.Context
	rng    *rand.Rand
	ledger *cluster.Ledger
	client *probe.Process
	last   *probe.Process // a second one, for the last of many VIPs; else nil
	got    *sample
	stays  bool // as in fault
	// anyone lets any other server take over where a certain one is expected, and any
	// hold at the end.
	anyone  bool
	splicer *splicer
	healed  time.Time // when the fault was
	wants   []want
	undo    []func()
}

// want is that the client is answered by one node for some time, but for moments of lastWord.
type want struct {
	node     string
	from, to time.Time
}

// unmet says who else answered for longer.
func (w want) unmet(r probe.Report) []string {
	var out []string
	for i, c := range r.Changes {
		from, to := r.Began.Add(c.At), w.to
		if i+1 < len(r.Changes) {
			to = r.Began.Add(r.Changes[i+1].At)
		}
		in := to.After(w.from) && from.Before(w.to)
		if lasted := to.Sub(from); c.To != w.node && in && lasted > lastWord {
			out = append(out, fmt.Sprintf("the client was with %s, not with %s, for %s from %s on", c.To, w.node, short(lasted), from.Format("15:04:05.000")))
		}
	}
	return out
}

func (x *trial) first() *cluster.Server  { return x.Servers[0] }
func (x *trial) second() *cluster.Server { return x.Servers[1] }
func (x *trial) third() *cluster.Server  { return x.Servers[2] }

// run plays the fault and fills the sample.
func (x *trial) run(f fault) error {
	defer func() {
		for _, u := range slices.Backward(x.undo) {
			u()
		}
	}()
	if err := x.start(f); err != nil {
		return fmt.Errorf("before the fault: %w", err)
	}
	defer x.ledger.Close()
	began := time.Now()
	if err := x.bear(f); err != nil {
		return errors.Join(err, x.hangUp())
	}
	x.wait(aftermath)
	ended := time.Now()
	if err := x.normal(x.ctx); err != nil {
		return errors.Join(fmt.Errorf("it was normal, and is no longer: %w", err), x.hangUp())
	}
	if err := x.hangUp(); err != nil {
		return err
	}
	for _, a := range x.vips() {
		all := x.ledger.Tally(a, began, ended)
		x.got.count(all)
		x.got.TwoHealed = max(x.got.TwoHealed, x.ledger.Tally(a, x.healed, ended).Two)
		if f.each {
			x.got.Twos = append(x.got.Twos, all.Two)
		}
	}
	return x.ledger.Err()
}

// hangUp ends the clients and takes in what they saw.
func (x *trial) hangUp() error {
	if x.client == nil {
		return nil
	}
	r, err := x.client.Stop()
	if err != nil {
		return err
	}
	x.noteReport(r)
	x.got.take(r)
	for _, w := range x.wants {
		x.got.Alarms = append(x.got.Alarms, w.unmet(r)...)
	}
	if x.last == nil {
		return nil
	}
	if r, err = x.last.Stop(); err != nil {
		return err
	}
	x.noteReport(r)
	x.got.takeWorse(r)
	return nil
}

func (x *trial) noteReport(r probe.Report) {
	x.note("client: %v, longest gap %v (noise %v), changes %+v, idle %+v", r.Outcomes, r.LongestGap, r.Noise, r.Changes, r.Drops)
	x.noteFailures(r)
}

// noteFailures writes down what was lost, which is seldom much where it must be nothing.
func (x *trial) noteFailures(r probe.Report) {
	lost := slices.DeleteFunc(slices.Clone(r.Failures), func(a probe.Attempt) bool { return a.Outcome == probe.Reset })
	for _, a := range lost[:min(20, len(lost))] {
		x.note("failed at %s: %s: %s", r.Began.Add(a.Start).Format("15:04:05.000"), a.Outcome, a.Error)
	}
}

// start brings the cluster into its normal state, with a client.
func (x *trial) start(f fault) error {
	var nodes []*lab.Node
	for _, s := range x.Servers {
		nodes = append(nodes, s.Node)
	}
	var err error
	if x.ledger, err = cluster.NewLedger(nodes, x.note); err != nil {
		return err
	}
	if err := x.writeKeys(x.Servers); err != nil {
		return err
	}
	if f.setUp != nil {
		if err := f.setUp(x); err != nil {
			return err
		}
	}
	for _, s := range x.Servers {
		if err := errors.Join(s.StartAPI("ready"), s.StartAgent()); err != nil {
			return err
		}
	}
	if x.client, err = x.Probe(x.ctx, x.vips()[0], x.interval); err != nil {
		return err
	}
	if !x.anyone { // whoever was the first to start may hold a moment before
		if err := x.holds(x.first()); err != nil {
			return fmt.Errorf("start: %w", err)
		}
	}
	return x.settle("the start")
}

// bear makes the fault at a random phase of all intervals, and heals it.
func (x *trial) bear(f fault) error {
	// The client that counts is one that has not seen the start.
	if _, err := x.client.Stop(); err != nil {
		return err
	}
	var err error
	if x.client, err = x.Probe(x.ctx, x.vips()[0], x.interval); err != nil {
		return err
	}
	if x.many {
		if x.last, err = x.Probe(x.ctx, x.vips()[len(x.vips())-1], lastInterval); err != nil {
			return err
		}
	}
	if err := x.answers(x.first()); err != nil {
		return err
	}
	x.wait(calm + time.Duration(x.rng.Int64N(int64(time.Second))))
	return x.suffer(f)
}

// suffer makes the fault, heals it and waits until all is well.
func (x *trial) suffer(f fault) error {
	x.note("fault: %s, %s, first is %s", f.name, x.variant, x.first().Name)
	before := x.pids()
	if err := f.play(x); err != nil {
		return fmt.Errorf("during the fault: %w", err)
	}
	x.note("heal")
	if f.heal != nil {
		if err := f.heal(x); err != nil {
			return fmt.Errorf("heal: %w", err)
		}
	}
	x.healed = time.Now()
	if err := x.settle("the fault was healed"); err != nil {
		return err
	}
	x.got.Settled = time.Since(x.healed)
	x.note("normal after %v", x.got.Settled)
	x.got.Alarms = append(x.got.Alarms, f.ended(before, x.pids())...)
	return nil
}

func (x *trial) pids() []int {
	var out []int
	for _, s := range x.Servers {
		out = append(out, s.AgentPID())
	}
	return out
}

// settle waits for the normal state.
func (x *trial) settle(after string) error {
	err := x.until("the normal state after "+after, func() error { return x.normal(x.ctx) })
	if err != nil {
		return err
	}
	return x.answered()
}

// normal checks that each VIP is on one node and its agents agree: on the first,
// unless the fault lets it stay where it is.
func (x *trial) normal(ctx context.Context) error {
	for _, a := range x.vips() {
		h := x.ledger.Holders(a)
		if len(h) != 1 || !x.stays && h[0] != x.first().Name {
			return fmt.Errorf("%v is on %v", a, h)
		}
	}
	all := make(map[string]control.Status)
	for _, s := range x.Servers {
		st, err := x.status(ctx, s)
		if err != nil {
			return err
		}
		all[s.Name] = st
	}
	return cluster.Settled(all)
}

func (x *trial) status(ctx context.Context, s *cluster.Server) (control.Status, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return s.Status(ctx)
}

// until waits for a condition.
func (x *trial) until(what string, check func() error) error {
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	return cluster.Until(ctx, what, check)
}

// answers waits until the client is answered by a server.
func (x *trial) answers(s *cluster.Server) error {
	if x.anyone {
		return x.answered()
	}
	ctx, cancel := context.WithTimeout(x.ctx, patience)
	defer cancel()
	if err := x.client.Await(ctx, s.Name); err != nil || x.last == nil {
		return err
	}
	return x.last.Await(ctx, s.Name)
}

// answered waits until the client is answered by whoever holds the VIP then.
func (x *trial) answered() error {
	return x.until("the holder to answer", func() error {
		h := x.ledger.Holders(x.vips()[0])
		if len(h) != 1 {
			return fmt.Errorf("%v is on %v", x.vips()[0], h)
		}
		ctx, cancel := context.WithTimeout(x.ctx, 50*time.Millisecond)
		defer cancel()
		return x.client.Await(ctx, h[0])
	})
}

// holds waits until a server alone has all VIPs, of those that are connected.
func (x *trial) holds(s *cluster.Server) error {
	return x.until(s.Name+" to hold the VIPs", func() error {
		for _, a := range x.vips() {
			if h := x.ledger.Holders(a); len(h) != 1 || !x.expected(s, h[0]) {
				return fmt.Errorf("%v is on %v", a, h)
			}
		}
		return nil
	})
}

// expected reports whether a node is the one that is to take over. Where anyone may,
// it is enough that the first one does not hold what it is to lose.
func (x *trial) expected(s *cluster.Server, holder string) bool {
	if !x.anyone {
		return holder == s.Name
	}
	return s == x.first() || holder != x.first().Name
}

// moved waits until a server has all VIPs and answers the client.
func (x *trial) moved(s *cluster.Server) error {
	if err := x.holds(s); err != nil {
		return err
	}
	return x.answers(s)
}

// wait lets time pass, as long as a fault lasts.
func (x *trial) wait(d time.Duration) {
	select {
	case <-time.After(d):
	case <-x.ctx.Done():
	}
}

// cut and joined note that a server's frames no longer pass, or do again.
func (x *trial) cut(s *cluster.Server)    { x.ledger.Connected(s.Name, false) }
func (x *trial) joined(s *cluster.Server) { x.ledger.Connected(s.Name, true) }

// on runs a command on a server.
func (x *trial) on(s *cluster.Server, command ...string) error {
	x.note("%s: %v", s.Name, command)
	_, err := s.Node.Run(command[0], command[1:]...)
	return err
}

// steps does one after the other.
func steps(all ...func(*trial) error) func(*trial) error {
	return func(x *trial) error {
		for _, do := range all {
			if err := do(x); err != nil {
				return err
			}
		}
		return nil
	}
}
