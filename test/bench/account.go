package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
)

// account is a contender under a load.
type account struct {
	*contender
	bill
	routers []cluster.Router
	said    *counter
	before  [2]cluster.Usage
}

// open starts an Active, and then a Backup.
func (w *workshop) open(ctx context.Context, e entrant, l load) (*account, error) {
	a := &account{bill: bill{Load: l, Agent: e.name}, routers: l.routers(), said: newCounter("now Backup", "Entering BACKUP STATE")}
	p := plan{servers: 2, log: a.said, config: func(s *cluster.Server) string { return l.vipd(s) }}
	if !e.vipd() {
		p.agent = l.keepalived(a.routers)
	}
	var err error
	if a.contender, err = w.contender(e, p); err != nil {
		return nil, err
	}
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", e.name, err), a.close())
	}
	return a, nil
}

func (a *account) start(ctx context.Context) error {
	for _, s := range a.Servers {
		if err := awaitLinkLocal(ctx, s.Node); err != nil {
			return err
		}
		if !a.Load.Probes {
			continue
		}
		if err := s.StartAPI("ready"); err != nil {
			return err
		}
	}
	began := time.Now()
	if err := a.first().StartAgent(); err != nil {
		return err
	}
	_, last, err := a.addresses(ctx, a.first(), began)
	if err != nil {
		return err
	}
	a.ToActive = last.Sub(began)
	already := a.said.count()
	began = time.Now()
	if err := a.second().StartAgent(); err != nil {
		return err
	}
	at, err := a.said.await(ctx, already+len(a.routers))
	a.ToBackup = at.Sub(began)
	return err
}

// addresses waits until a server has all addresses, and returns when the first and the
// last one came to it.
func (a *account) addresses(ctx context.Context, s *cluster.Server, since time.Time) (first, last time.Time, err error) {
	err = cluster.UntilEvery(ctx, 50*time.Millisecond, s.Name+" to hold all VIPs", func() error {
		there := make(map[netip.Addr]bool)
		first, last = time.Time{}, time.Time{}
		for _, e := range a.ledger.Entries(since, time.Now()) {
			if e.Node != s.Name || !virtual(e.Addr) || !e.There {
				continue
			}
			there[e.Addr] = true
			if first.IsZero() {
				first = e.At
			}
			last = e.At
		}
		if len(there) < len(a.routers) {
			return fmt.Errorf("it has %d of %d", len(there), len(a.routers))
		}
		return nil
	})
	return first, last, err
}

func (a *account) read(to *[2]cluster.Usage) (err error) {
	for i, s := range a.Servers {
		if to[i], err = s.Usage(); err != nil {
			return err
		}
	}
	return nil
}

// settle reads what was used since the last reading.
func (a *account) settle() error {
	var after [2]cluster.Usage
	if err := a.read(&after); err != nil {
		return err
	}
	for i, to := range []*expense{&a.Active, &a.Backup} {
		used := after[i].Since(a.before[i])
		seconds := after[i].At.Sub(a.before[i].At).Seconds()
		m, err := a.Servers[i].Memory()
		if err != nil {
			return err
		}
		*to = expense{CPU: used.CPU.Seconds() * 60 / seconds, Wakeups: float64(used.Wakeups) / seconds, Packets: float64(used.Packets) / seconds, Memory: m}
	}
	return nil
}

// takeover lets the Active die.
func (a *account) takeover(ctx context.Context) error {
	began := time.Now()
	if err := a.first().Die(); err != nil {
		return err
	}
	first, last, err := a.addresses(ctx, a.second(), began)
	a.TakeoverFirst, a.TakeoverLast = first.Sub(began), last.Sub(began)
	return err
}

// awaitLinkLocal waits until a node can advertise in IPv6: keepalived does not.
func awaitLinkLocal(ctx context.Context, n *lab.Node) error {
	return cluster.Until(ctx, "the link-local address of "+n.Name, func() error {
		link, err := n.Netlink().LinkByName(lab.Interface)
		if err != nil {
			return err
		}
		list, err := n.Netlink().AddrList(link, netlink.FAMILY_V6)
		if err != nil {
			return err
		}
		const tentative = 0x40 // IFA_F_TENTATIVE
		for _, a := range list {
			if a.IP.IsLinkLocalUnicast() && a.Flags&tentative == 0 {
				return nil
			}
		}
		return fmt.Errorf("none among %v", list)
	})
}
