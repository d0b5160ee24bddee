// Command bench measures vipd beside Debian's keepalived: what a client sees of each
// fault, and what the agents cost. Run it through test/contain (make bench does).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

type options struct {
	runs   int
	only   string
	agents string
	quick  bool
	lasts  time.Duration
	load   time.Duration
	log    string
	data   string
	record bool
	draw   bool
	docs   string
	// command is how all this was asked for.
	command string
}

func (o *options) flags(fs *flag.FlagSet) {
	fs.IntVar(&o.runs, "runs", 10, "how often each fault is made on each entrant")
	fs.StringVar(&o.only, "only", "", "only parts with one of these, set apart by commas, in their names: faults by name, cost, sustained")
	fs.StringVar(&o.agents, "agents", "", "only these entrants, set apart by semicolons")
	fs.BoolVar(&o.quick, "quick", false, "three runs, and fewer and shorter measurements of cost and load")
	fs.DurationVar(&o.lasts, "lasts", 10*time.Second, "how long each cost is measured")
	fs.DurationVar(&o.load, "load", 10*time.Second, "how long each interval of advertisements is tried under load")
	fs.StringVar(&o.log, "log", "", "file for what the agents log")
	fs.StringVar(&o.data, "data", "bin/benchmarks.json", "where results are kept, so that parts can be measured one by one")
	fs.BoolVar(&o.record, "record", false, "keep the results in the documents, and write benchmarks.md and its pictures")
	fs.BoolVar(&o.draw, "draw", false, "measure nothing, and write the documents from the results that are there")
	fs.StringVar(&o.docs, "docs", "docs", "directory of the documents")
}

// settle makes the options agree with each other.
func (o *options) settle() {
	if o.quick {
		o.runs, o.lasts, o.load = min(o.runs, 3), min(o.lasts, 6*time.Second), min(o.load, 5*time.Second)
	}
	if o.record || o.draw {
		o.data = filepath.Join(o.docs, "benchmarks.json")
	}
}

// wanted reports whether the name of an entrant was asked for.
func (o *options) wanted(name string) bool {
	return o.agents == "" || slices.Contains(strings.Split(o.agents, ";"), name)
}

// named reports whether a name has one of the words, which commas set apart.
func named(name, words string) bool {
	for word := range strings.SplitSeq(words, ",") {
		if strings.Contains(name, word) {
			return true
		}
	}
	return false
}

func main() {
	var o options
	o.flags(flag.CommandLine)
	flag.Parse()
	o.settle()
	o.command = commandLine(flag.CommandLine)
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	b, err := openBook(o.data)
	if err != nil {
		return err
	}
	if !o.draw {
		if err := measure(ctx, o, b); err != nil {
			return err
		}
	}
	fmt.Print("\n", b.goals())
	if o.record || o.draw {
		return b.publish(o.docs)
	}
	return nil
}

// measure makes all parts that are wanted. What was measured is kept as it comes.
func measure(ctx context.Context, o options, b *book) error {
	for _, tool := range []string{"keepalived", "curl", "bridge"} {
		if _, err := exec.LookPath(tool); err != nil {
			return fmt.Errorf("needs %s: run make deps", tool)
		}
	}
	dir, err := os.MkdirTemp("", "vipd-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	w := &workshop{options: o, dir: dir, logTo: io.Discard}
	if w.binaries, err = cluster.Build(filepath.Join(dir, "bin")); err != nil {
		return err
	}
	if o.log != "" {
		out, err := os.Create(o.log)
		if err != nil {
			return fmt.Errorf("open the log: %w", err)
		}
		defer out.Close()
		w.logTo = out
	}
	for _, p := range w.parts() {
		if !named(p.name, o.only) {
			continue
		}
		began := time.Now()
		if err := p.run(ctx, b); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if ctx.Err() != nil {
			return errors.New("interrupted")
		}
		fmt.Printf("%s took %s\n", p.name, time.Since(began).Round(time.Second))
		b.Facts[p.name] = factsNow(w.binaries.Vipd, o.command)
		if err := b.save(); err != nil {
			return err
		}
	}
	return nil
}

// part is what can be measured, and recorded, alone.
type part struct {
	name string
	run  func(context.Context, *book) error
}

func (w *workshop) parts() []part {
	var all []part
	for _, f := range faults() {
		all = append(all, part{f.name, func(ctx context.Context, b *book) error { return w.fault(ctx, f, b) }})
	}
	return append(all, part{"cost", w.cost}, part{"sustained", w.sustained})
}

// fault makes a fault on all its entrants, and says what was seen.
func (w *workshop) fault(ctx context.Context, f fault, b *book) error {
	seen := make(map[string][]sample)
	err := w.play(ctx, f, func(e entrant, s sample) {
		seen[e.name] = append(seen[e.name], s)
		fmt.Printf("  %-20s %v\n", e.name, s)
	})
	if err != nil {
		return err
	}
	for _, e := range f.entrants() {
		if samples, ok := seen[e.name]; ok {
			keepOne(samples)
			b.fault(f.name)[e.name] = samples
			fmt.Printf("%-25s %-20s outage ms %s\n", f.name, e.name, spreadOf(column(samples, func(s sample) time.Duration { return s.Outage })))
		}
	}
	return nil
}
