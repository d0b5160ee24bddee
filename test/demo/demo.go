package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

const (
	askEvery  = 4 * time.Millisecond
	patience  = time.Second             // of the client, with one connection
	aftermath = 1100 * time.Millisecond // until the last connection of a fault has ended
	stepLimit = 20 * time.Second
)

// demo is the stage: the cluster, and those who watch it.
type demo struct {
	dir     string
	bin     cluster.Binaries
	lab     *lab.Lab
	cluster *cluster.Cluster
	watch   *watch
	out     *timeline
}

func newDemo(bin cluster.Binaries, log io.Writer, out *timeline) (_ *demo, err error) {
	d := &demo{bin: bin, out: out}
	defer func() {
		if err != nil {
			err = errors.Join(err, d.close())
		}
	}()
	// This /run goes with the namespaces, however the demo ends.
	if d.dir, err = os.MkdirTemp("/run", "demo-"); err != nil {
		return nil, fmt.Errorf("make a directory: %w", err)
	}
	if d.lab, err = lab.New(); err != nil {
		return nil, fmt.Errorf("make a network: %w", err)
	}
	if d.cluster, err = cluster.New(d.lab, cluster.Options{Binaries: bin, Dir: d.dir, Servers: 3, Log: log, Launcher: cluster.RealTime()}); err != nil {
		return nil, fmt.Errorf("make a cluster: %w", err)
	}
	var nodes []*lab.Node
	for _, s := range d.cluster.Servers {
		nodes = append(nodes, s.Node)
	}
	d.watch, err = newWatch(nodes, cluster.VIP4, out.saw)
	return d, err
}

// close ends all that runs and removes what is there.
func (d *demo) close() error {
	var errs []error
	if d.cluster != nil {
		errs = append(errs, d.cluster.Close())
	}
	if d.watch != nil {
		d.watch.close()
	}
	if d.lab != nil {
		errs = append(errs, d.lab.Close())
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

// run plays the story and reports whether all went as expected.
func (d *demo) run(ctx context.Context) (bool, error) {
	d.out.text(d.introduction())
	if err := d.rise(ctx); err != nil {
		return false, err
	}
	var done []outcome
	ok := true
	for _, s := range d.story() {
		o, err := d.play(ctx, s)
		if err != nil {
			return false, fmt.Errorf("%s: %w", s.label, err)
		}
		done = append(done, o)
		ok = ok && o.fault == ""
	}
	d.out.text("\n" + table(done, time.Since(d.out.began), d.out.paint))
	return ok, nil
}

func (d *demo) introduction() string {
	p := d.out.paint
	text := p.bold("vipd: three servers, one virtual IP, and a client that keeps asking") + "\n\n"
	for _, s := range d.cluster.Servers {
		text += fmt.Sprintf("  %s   %-15s  priority %d\n", s.Name, s.Addr, s.Priority())
	}
	text += fmt.Sprintf("  VIP     %-15s  the client opens a TLS connection to %s every %d ms\n",
		cluster.VIP4, d.target(), askEvery.Milliseconds())
	return text + "\n" + p.faint("  + and - are told by the nodes' kernels, the rest by vipd status and the client.\n"+
		"  The API servers are stand-ins that behave, fail and die as those of K3s do.")
}

// rise starts the cluster.
func (d *demo) rise(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	d.out.headline("The servers start, each with an API server and vipd")
	d.watch.begin()
	if err := d.cluster.Start(ctx); err != nil {
		return fmt.Errorf("start the cluster: %w", err)
	}
	return d.says(ctx, d.cluster.Servers[0])
}

// play does one step, and tells and returns what became of it.
func (d *demo) play(ctx context.Context, s step) (outcome, error) {
	ctx, cancel := context.WithTimeout(ctx, stepLimit)
	defer cancel()
	from, err := d.cluster.Holder(ctx)
	if err != nil {
		return outcome{}, err
	}
	client, err := d.ask(ctx)
	if err != nil {
		return outcome{}, err
	}
	d.out.headline(s.title)
	d.watch.begin()
	if err := d.do(ctx, s, client); err != nil {
		return outcome{}, err
	}
	if err := pause(ctx, aftermath); err != nil {
		return outcome{}, err
	}
	report, err := client.Stop()
	if err != nil {
		return outcome{}, err
	}
	o := outcome{label: s.label, from: from.Name, way: d.watch.way()}
	o.take(report)
	d.out.fact(o.client())
	if o.fault = s.judge(o); o.fault != "" {
		d.out.wrong(o.fault)
	}
	return o, nil
}

// do does what the step consists of, and waits until the VIP is where it belongs.
func (d *demo) do(ctx context.Context, s step, client *probe.Process) error {
	if err := s.act(ctx); err != nil {
		return err
	}
	if err := d.arrive(ctx, s.holder, client); err != nil {
		return err
	}
	if len(d.watch.way()) == 0 {
		return nil
	}
	return d.says(ctx, s.holder)
}

// arrive waits until a server, and nobody else, has the VIP: as the kernels, the
// client and the agents see it.
func (d *demo) arrive(ctx context.Context, s *cluster.Server, client *probe.Process) error {
	err := cluster.Until(ctx, s.Name+" alone to have the VIP", func() error {
		nodes, err := d.watch.holders()
		if err == nil && !slices.Equal(nodes, []string{s.Name}) {
			err = fmt.Errorf("it is on %v", nodes)
		}
		return err
	})
	if err != nil {
		return err
	}
	if err := client.Await(ctx, s.Name); err != nil {
		return err
	}
	if err := d.cluster.Settled(ctx); err != nil {
		return err
	}
	holder, err := d.cluster.Holder(ctx)
	if err == nil && holder != s {
		err = fmt.Errorf("%s is Active instead of %s", holder.Name, s.Name)
	}
	return err
}

// says prints why a server became what it is, in the words of its agent.
func (d *demo) says(ctx context.Context, s *cluster.Server) error {
	st, err := s.Status(ctx)
	if err != nil {
		return err
	}
	for _, r := range st.Routers {
		d.out.fact(fmt.Sprintf("vipd on %s: %s: %s", s.Name, r.State, r.Cause))
	}
	return nil
}

// ask starts the client and waits until it is answered.
func (d *demo) ask(ctx context.Context) (*probe.Process, error) {
	p, err := probe.Start(ctx, d.cluster.Client, d.bin.Client, probe.Config{
		Address: d.target().String(), CAFile: filepath.Join(d.dir, "ca", "server-ca.crt"),
		Interval: askEvery, DialTimeout: patience, Timeout: patience,
	})
	if err != nil {
		return nil, err
	}
	return p, p.Await(ctx, "")
}

func (d *demo) target() netip.AddrPort { return netip.AddrPortFrom(cluster.VIP4, 6443) }

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
