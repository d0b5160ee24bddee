// Command faults plays faults against a cluster of real agents in network namespaces,
// each in several variants of the cluster, and holds what it sees against a bound. Run
// it through test/contain (make faults does).
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// options are the flags.
type options struct {
	only       string
	variants   string
	runs       int
	seed       uint64
	out        string
	record     string
	judge      string
	list       bool
	flap       time.Duration
	partitions int
	rounds     int
	loss       time.Duration
	soak       time.Duration
	race       bool
	together   int
	interval   time.Duration
	other      bool
	keep       bool
}

func (o *options) flags(fs *flag.FlagSet) {
	fs.StringVar(&o.only, "only", "", "only faults with one of these, set apart by commas, in their names")
	fs.StringVar(&o.variants, "variants", "cover", `"cover" (two for each fault, which differ in everything), "all", or what a variant has in its name, such as ipv6-unicast`)
	fs.IntVar(&o.runs, "runs", 0, "how often each fault is played, the variants in turn; 0: each variant once, at least 3 times, and some faults more often")
	fs.IntVar(&o.together, "together", 1, "how many faults are played at once, each on a cluster of its own")
	fs.Uint64Var(&o.seed, "seed", uint64(time.Now().Unix()), "of the random phases")
	fs.StringVar(&o.out, "out", "bin/faults", "directory for results.json and the logs of what went wrong")
	fs.StringVar(&o.record, "record", "", "document to write the table of all results into, such as docs/reliability.md, and the results beside it")
	fs.StringVar(&o.judge, "judge", "", "document to write the table into again, of the results beside it and held to the bounds as they are now; none is played")
	fs.BoolVar(&o.list, "list", false, "list the faults and their bounds, and play none")
	fs.DurationVar(&o.flap, "flap", 5*time.Minute, "how long the API server flaps")
	fs.IntVar(&o.partitions, "partitions", 10, "how often a partition heals in a run")
	fs.IntVar(&o.rounds, "rounds", 20, "how often what is planned is done, there and back, in a run")
	fs.DurationVar(&o.loss, "loss", 15*time.Second, "how long advertisements are lost")
	fs.DurationVar(&o.soak, "soak", 0, "play faults at random on one cluster for so long, and want nothing to grow")
	fs.BoolVar(&o.race, "race", false, "build the agents with the race detector")
	fs.DurationVar(&o.interval, "interval", usualInterval, "from one connection of the client to the next")
	fs.BoolVar(&o.keep, "keep", false, "keep the logs of what went well too")
	fs.BoolVar(&o.other, "other", false, "start the agents without real-time scheduling, which vipd.service gives them")
}

func main() {
	var o options
	o.flags(flag.CommandLine)
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "faults:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	all := faults(o)
	if o.list {
		for _, f := range all {
			fmt.Printf("%-44s %s\n", f.name, f.bound)
		}
		return nil
	}
	if o.judge != "" {
		return judge(o.judge, all)
	}
	dir, err := os.MkdirTemp("", "vipd-faults-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	b, err := cluster.Build(filepath.Join(dir, "bin"))
	if err != nil {
		return err
	}
	if o.race {
		if err := detectRaces(b.Vipd); err != nil {
			return err
		}
	}
	realTime := !o.other && cluster.RealTime() != nil
	book, err := openBook(filepath.Join(o.out, "results.json"))
	if err != nil {
		return err
	}
	if o.record != "" {
		if err := book.inherit(o.record); err != nil {
			return err
		}
	}
	s := &stage{options: o, dir: dir, binaries: b, realTime: realTime}
	if o.soak > 0 {
		return s.soakFor(ctx)
	}
	p := newProgramme(s, book, all)
	err = p.run(ctx)
	if o.record != "" {
		err = errors.Join(err, book.record(o.record, all)) // of an interrupted run too
	}
	if p.red > 0 {
		err = errors.Join(err, fmt.Errorf("%d bounds were broken; the logs are in %s", p.red, o.out))
	}
	return err
}

// judge holds recorded results to the bounds again.
func judge(document string, all []fault) error {
	b, err := openBook(beside(document))
	if err != nil {
		return err
	}
	red := b.judge(all)
	if err := b.record(document, all); err != nil {
		return err
	}
	if len(red) > 0 {
		return fmt.Errorf("bounds are broken:\n%s", strings.Join(red, "\n"))
	}
	return nil
}

// detectRaces builds vipd again, with the race detector.
func detectRaces(path string) error {
	if out, err := exec.Command("go", "build", "-race", "-o", path, "github.com/vipd/vipd/cmd/vipd").CombinedOutput(); err != nil {
		return fmt.Errorf("build vipd with the race detector: %w: %s", err, out)
	}
	return nil
}

// named reports whether the fault's name has one of the words.
func (f fault) named(only string) bool {
	for word := range strings.SplitSeq(only, ",") {
		if strings.Contains(f.name, word) {
			return true
		}
	}
	return false
}
