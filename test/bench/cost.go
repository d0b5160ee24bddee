package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// expense is what an agent costs.
type expense struct {
	CPU     float64        `json:"cpu"`     // seconds a minute
	Wakeups float64        `json:"wakeups"` // a second
	Packets float64        `json:"packets"` // a second, in and out
	Memory  cluster.Memory `json:"memory"`
}

// bill is what was measured of an agent under a load.
type bill struct {
	Load   load    `json:"load"`
	Agent  string  `json:"agent"`
	Active expense `json:"active"`
	Backup expense `json:"backup"`
	// From the start of the program.
	ToBackup time.Duration `json:"to_backup"` // it says so of the last router
	ToActive time.Duration `json:"to_active"` // the last address is there
	// From the death of the Active to the first and the last address on the Backup.
	TakeoverFirst time.Duration `json:"takeover_first"`
	TakeoverLast  time.Duration `json:"takeover_last"`
}

// String is the bill for a terminal.
func (x bill) String() string {
	return fmt.Sprintf("cost %-28v %-11s Active %v; Backup %v; Active after %s, takeover %s to %s", x.Load, x.Agent, x.Active, x.Backup,
		short(x.ToActive), short(x.TakeoverFirst), short(x.TakeoverLast))
}

// String is the expense for a terminal.
func (e expense) String() string {
	return fmt.Sprintf("%.2f CPU s/min, %.0f wakeups/s, %.1f MiB", e.CPU, e.Wakeups, float64(e.Memory.RSS)/1024)
}

// cost measures all loads, each on both agents at the same time, so that whatever else
// the machine does hits both.
func (w *workshop) cost(ctx context.Context, b *book) error {
	b.Bills = nil
	for _, l := range loads(w.quick) {
		bills, err := w.expenses(ctx, l)
		if err != nil {
			return fmt.Errorf("%v: %w", l, err)
		}
		for _, x := range bills {
			fmt.Println(x)
		}
		b.Bills = append(b.Bills, bills...)
	}
	return b.weigh(map[string]string{vipdDefault: w.binaries.Vipd, peerDefault: "keepalived"})
}

// weigh writes down how large the programs are.
func (b *book) weigh(programs map[string]string) error {
	b.Binaries = make(map[string]int64)
	for name, program := range programs {
		path, err := exec.LookPath(program)
		if err != nil {
			return fmt.Errorf("find %s: %w", name, err)
		}
		info, err := os.Stat(path)
		if err != nil {
			return fmt.Errorf("look at %s: %w", name, err)
		}
		b.Binaries[name] = info.Size()
	}
	return nil
}

func (w *workshop) expenses(ctx context.Context, l load) (bills []bill, err error) {
	ctx, cancel := context.WithTimeout(ctx, w.lasts+2*patience)
	defer cancel()
	var all []*account
	defer func() {
		for _, a := range all {
			if cerr := a.close(); err == nil {
				err = cerr
			}
		}
	}()
	for _, e := range find(vipdDefault, peerDefault) {
		a, err := w.open(ctx, e, l)
		if err != nil {
			return nil, err
		}
		all = append(all, a)
	}
	pause(ctx, 6*time.Second) // the announcements of a claim are over after 5 s
	for _, a := range all {
		if err := a.read(&a.before); err != nil {
			return nil, err
		}
	}
	pause(ctx, w.lasts)
	for _, a := range all {
		if err := a.settle(); err != nil {
			return nil, err
		}
	}
	for _, a := range all {
		if err := a.takeover(ctx); err != nil {
			return nil, err
		}
		bills = append(bills, a.bill)
	}
	return bills, ctx.Err()
}
