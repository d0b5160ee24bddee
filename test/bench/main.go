// Command bench measures what a client sees of each fault, on a cluster of real
// processes in network namespaces, and what the agent costs. Run it through
// test/contain (make bench does).
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/vipd/vipd/test/cluster"
)

func main() {
	var o options
	flag.IntVar(&o.runs, "runs", 10, "how often each fault is made")
	flag.StringVar(&o.only, "only", "", "only what has this in its name")
	flag.StringVar(&o.log, "log", "", "file for what the agents log")
	flag.StringVar(&o.pcap, "pcap", "", "directory for what the client's interface saw, a file a run (needs tcpdump)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

type options struct {
	runs int
	only string
	log  string
	pcap string
}

func run(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp("", "vipd-bench-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	defer os.RemoveAll(dir)
	b, err := cluster.Build(filepath.Join(dir, "bin"))
	if err != nil {
		return err
	}
	out := os.Stderr
	if o.log != "" {
		if out, err = os.Create(o.log); err != nil {
			return fmt.Errorf("open the log: %w", err)
		}
		defer out.Close()
	}
	w := &workshop{binaries: b, dir: dir, runs: o.runs, log: out, quiet: o.log == "", pcap: o.pcap}
	fmt.Println(faultHeader)
	for _, f := range faults() {
		if !strings.Contains(f.name, o.only) {
			continue
		}
		if err := w.measure(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f.name, err)
		}
	}
	for _, c := range costs() {
		if !strings.Contains(c.name, o.only) {
			continue
		}
		if err := w.cost(ctx, c); err != nil {
			return fmt.Errorf("%s: %w", c.name, err)
		}
	}
	return nil
}
