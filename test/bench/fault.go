package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// fault is something that happens to a cluster while a client asks.
type fault struct {
	name string
	// prepare brings the cluster into the state in which the fault is made, and
	// returns the server that answers then.
	prepare func(ctx context.Context, c *cluster.Cluster, holder *cluster.Server) (*cluster.Server, error)
	// inject makes the fault; it returns when the VIP should have moved to the server returned.
	inject func(ctx context.Context, c *cluster.Cluster, holder *cluster.Server) (to *cluster.Server, err error)
	// heal brings the cluster back to normal.
	heal func(ctx context.Context, c *cluster.Cluster, holder *cluster.Server) error
}

// sample is what was seen of one fault.
type sample struct {
	outage      time.Duration // last answer before to first answer after
	failed      int           // refused, timed out, unanswered
	outcomes    map[probe.Outcome]int
	resets      int
	idle        time.Duration // from the loss of the idle connection's node to its end
	advert      time.Duration // from the holder's last advertisement to its successor's first
	noise       time.Duration
	idleNoticed bool
	what        string // the first failure
}

const faultHeader = "fault                     runs   outage ms (min/median/p95/max)   advert gap ms (median/max)  failed (median/max)  resets (median/max)  idle noticed ms (median/max)  noise ms"

// workshop makes the clusters.
type workshop struct {
	binaries cluster.Binaries
	dir      string
	runs     int
	log      io.Writer
	quiet    bool
	pcap     string
	n        int
}

func (w *workshop) cluster(servers int, config func(*cluster.Server) string) (*cluster.Cluster, func(), error) {
	l, err := lab.New()
	if err != nil {
		return nil, nil, err
	}
	w.n++
	dir := filepath.Join(w.dir, fmt.Sprint(w.n))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, nil, err
	}
	log := w.log
	if w.quiet {
		log = io.Discard
	}
	c, err := cluster.New(l, cluster.Options{Binaries: w.binaries, Dir: dir, Servers: servers, Config: config, Log: log})
	if err != nil {
		return nil, nil, err
	}
	return c, func() { c.Close(); l.Close() }, nil
}

func (w *workshop) measure(ctx context.Context, f fault) error {
	c, done, err := w.cluster(3, nil)
	if err != nil {
		return err
	}
	defer done()
	start, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if err := c.Start(start); err != nil {
		return err
	}
	var samples []sample
	for range w.runs {
		s, err := w.once(ctx, c, f)
		if err != nil {
			return err
		}
		samples = append(samples, s)
	}
	report(f.name, samples)
	return nil
}

func (w *workshop) once(ctx context.Context, c *cluster.Cluster, f fault) (sample, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	if err := c.Settled(ctx); err != nil {
		return sample{}, err
	}
	holder, err := c.Holder(ctx)
	if err != nil {
		return sample{}, err
	}
	if f.prepare != nil {
		if holder, err = f.prepare(ctx, c, holder); err != nil {
			return sample{}, err
		}
	}
	wire, err := cluster.Listen(ctx, c.Client)
	if err != nil {
		return sample{}, err
	}
	defer wire.Stop()
	capture, err := w.capture(c.Client)
	if err != nil {
		return sample{}, err
	}
	defer capture()
	p, err := c.Probe(ctx, cluster.VIP4, 2*time.Millisecond)
	if err != nil {
		return sample{}, err
	}
	if err := p.Await(ctx, holder.Name); err != nil {
		return sample{}, err
	}
	// A random phase of the advertisement and probe intervals.
	time.Sleep(500*time.Millisecond + rand.N(500*time.Millisecond))
	to, err := f.inject(ctx, c, holder)
	if err != nil {
		return sample{}, err
	}
	if to != nil {
		if err := p.Await(ctx, to.Name); err != nil {
			return sample{}, fmt.Errorf("wait for %s to answer: %w", to.Name, err)
		}
	}
	time.Sleep(1500 * time.Millisecond)
	r, err := p.Stop()
	if err != nil {
		return sample{}, err
	}
	s := read(r)
	s.advert = wire.Gap(holder.Addr)
	return s, f.heal(ctx, c, holder)
}

// capture records what a node sees, if that is wanted, until the function that it
// returns is called.
func (w *workshop) capture(n *lab.Node) (func(), error) {
	if w.pcap == "" {
		return func() {}, nil
	}
	w.n++
	cmd := exec.Command("tcpdump", "-i", lab.Interface, "-w", filepath.Join(w.pcap, fmt.Sprintf("%d.pcap", w.n)))
	if err := n.Start(cmd); err != nil {
		return nil, fmt.Errorf("start tcpdump: %w", err)
	}
	return func() {
		_ = cmd.Process.Signal(syscall.SIGINT)
		_ = cmd.Wait() // what it could not record is missing in the file
	}, nil
}

// read takes from a report what a sample holds.
func read(r probe.Report) sample {
	s := sample{failed: r.Failed, outcomes: r.Outcomes, resets: r.Outcomes[probe.Reset], noise: r.Noise}
	for _, a := range r.Failures {
		if a.Outcome != probe.Reset {
			s.what = fmt.Sprintf("%s at %s: %s", a.Outcome, r.Began.Add(a.Start).Format("15:04:05.000"), a.Error)
			break
		}
	}
	for _, ch := range r.Changes {
		if ch.From != "" {
			s.outage = max(s.outage, ch.Outage)
		}
	}
	if len(r.Changes) < 2 {
		s.outage = r.LongestGap.Length()
	}
	if len(r.Drops) > 0 && len(r.Changes) > 1 {
		s.idleNoticed = true
		s.idle = r.Drops[0].Lost - r.Changes[len(r.Changes)-1].At
	}
	return s
}

func report(name string, samples []sample) {
	n := len(samples)
	var outage, advert, idle []time.Duration
	var failed, resets []int
	var noise time.Duration
	for _, s := range samples {
		outage = append(outage, s.outage)
		advert = append(advert, s.advert)
		failed = append(failed, s.failed)
		resets = append(resets, s.resets)
		noise = max(noise, s.noise)
		if s.idleNoticed {
			idle = append(idle, s.idle)
		}
	}
	slices.Sort(outage)
	slices.Sort(advert)
	slices.Sort(failed)
	slices.Sort(resets)
	slices.Sort(idle)
	idles := "-"
	if len(idle) > 0 {
		idles = fmt.Sprintf("%s/%s (%d)", ms(idle[len(idle)/2]), ms(idle[len(idle)-1]), len(idle))
	}
	fmt.Printf("%-25s %4d   %-32s %-27s %-20s %-20s %-29s %s\n", name, n,
		fmt.Sprintf("%s/%s/%s/%s", ms(outage[0]), ms(outage[n/2]), ms(outage[min(n-1, n*95/100)]), ms(outage[n-1])),
		ms(advert[n/2])+"/"+ms(advert[n-1]), fmt.Sprintf("%d/%d", failed[n/2], failed[n-1]), fmt.Sprintf("%d/%d", resets[n/2], resets[n-1]), idles, ms(noise))
	for i, s := range samples {
		if s.failed > 0 {
			fmt.Printf("    run %d: %v; first: %s\n", i+1, s.outcomes, s.what)
			break
		}
	}
}

func ms(d time.Duration) string { return fmt.Sprintf("%.1f", float64(d.Microseconds())/1000) }
