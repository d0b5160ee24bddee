package main

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// cost is a configuration whose running costs are measured.
type cost struct {
	name   string
	config func(*cluster.Server) string
	lasts  time.Duration
}

func costs() []cost {
	return []cost{
		{"cost: one VIP, default settings", cluster.DefaultConfig, 30 * time.Second},
		{"cost: one VIP, no probe", func(s *cluster.Server) string { return routers(s, 1, "250ms") }, 30 * time.Second},
		{"cost: 255 VRIDs, 1 s adverts", func(s *cluster.Server) string { return routers(s, 255, "1s") }, 30 * time.Second},
	}
}

// routers is a configuration of n virtual routers without a probe.
func routers(s *cluster.Server, n int, interval string) string {
	var b strings.Builder
	b.WriteString("[[check]]\ntype = \"none\"\n")
	for i := 1; i <= n; i++ {
		fmt.Fprintf(&b, "[[vip]]\nname = \"v%d\"\naddresses = [\"203.0.113.%d\"]\ninterface = \"eth0\"\nvrid = %d\npriority = %d\nadvert_interval = %q\n",
			i, i, i, s.Priority(), interval)
	}
	return b.String()
}

func (w *workshop) cost(ctx context.Context, k cost) error {
	c, done, err := w.cluster(2, k.config)
	if err != nil {
		return err
	}
	defer done()
	start, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	if err := c.Start(start); err != nil {
		return err
	}
	time.Sleep(6 * time.Second) // the announcements of the start are over
	holder, err := c.Holder(ctx)
	if err != nil {
		return err
	}
	before := make(map[*cluster.Server]time.Duration)
	for _, s := range c.Servers {
		if before[s], err = s.AgentCPU(); err != nil {
			return err
		}
	}
	began := time.Now()
	select {
	case <-time.After(k.lasts):
	case <-ctx.Done():
		return ctx.Err()
	}
	minutes := time.Since(began).Minutes()
	for _, s := range c.Servers {
		used, err := s.AgentCPU()
		if err != nil {
			return err
		}
		rss, err := s.AgentMemory("VmRSS")
		if err != nil {
			return err
		}
		anonymous, err := s.AgentMemory("RssAnon")
		if err != nil {
			return err
		}
		role := "Backup"
		if s == holder {
			role = "Active"
		}
		fmt.Printf("%-35s %-7s %.2f CPU s/min, %.1f MiB RSS (%.1f anonymous)\n", k.name, role, (used-before[s]).Seconds()/minutes,
			float64(rss)/1024, float64(anonymous)/1024)
	}
	return nil
}
