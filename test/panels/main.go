// Command panels draws the key panels of the Grafana dashboard into the documents. With
// -record it first plays a story on three servers, and has Prometheus answer what the panels
// ask; it needs test/contain then, and Prometheus:
//
//	test/contain go run ./test/panels -record
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
)

const dashboardPath = "packaging/grafana/vipd-dashboard.json"

// keyPanels are those that are drawn, by title.
func keyPanels() []string {
	return []string{
		"Who is Active", "Grade of each API server", "Priority as advertised", "Failover gap",
		"Advertisements", "Least margin of the lease, 1 %",
	}
}

type options struct {
	record bool
	docs   string
	log    string
}

func main() {
	var o options
	flag.BoolVar(&o.record, "record", false, "play the story anew, and keep what Prometheus made of it")
	flag.StringVar(&o.docs, "docs", "docs", "`directory` of the documents")
	flag.StringVar(&o.log, "log", "", "write what the programs say to `file`")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "panels:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, o options) error {
	data := filepath.Join(o.docs, "panels.json")
	if o.record {
		if os.Getenv("VIPD_CONTAINED") == "" {
			return errors.New("it stays away from this machine's own network: run it through test/contain")
		}
		r, err := record(ctx, o.log)
		if err != nil {
			return err
		}
		if err := r.save(data); err != nil {
			return err
		}
	}
	r, err := load(data)
	if err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(o.docs, "panels.svg"), []byte(r.draw().String()), 0o644); err != nil {
		return fmt.Errorf("write the picture: %w", err)
	}
	return nil
}
