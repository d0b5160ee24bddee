package interop

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/test/cluster"
	"github.com/vipd/vipd/test/lab"
	"github.com/vipd/vipd/vrrp"
)

// agent is a station that runs vipd.
type agent struct {
	segment *segment
	server  *cluster.Server
	config  string
	virtual bool // configured with the virtual MAC
	global  bool // its IPv6 peers are global addresses
}

var _ station = (*agent)(nil)

// setting is a line of [[vip]].
func setting(key string, value any) string { return fmt.Sprintf("%s = %v\n", key, value) }

// peersSetting has the agent use unicast.
func peersSetting(peers ...netip.Addr) string {
	var quoted []string
	for _, p := range peers {
		quoted = append(quoted, fmt.Sprintf("%q", p))
	}
	return setting("peers", "["+strings.Join(quoted, ", ")+"]")
}

// configure sets an agent's configuration: no probe, and one virtual router.
func (a *agent) configure(priority int, settings ...string) {
	if a.virtual {
		settings = append(settings, setting("virtual_mac", true))
	}
	a.configureVIP("[[check]]\ntype = \"none\"\n", priority, settings...)
}

func (a *agent) configureVIP(check string, priority int, settings ...string) {
	a.config = check + fmt.Sprintf("[[vip]]\naddresses = [%q]\nvrid = %d\npriority = %d\n", a.segment.vip(), vrid, priority) + strings.Join(settings, "")
}

func (a *agent) String() string { return a.server.Name }

func (a *agent) start() {
	a.segment.t.Helper()
	a.segment.must(a.server.StartAgent())
	a.segment.must(a.segment.cluster.Lab.Plug(a.server.Node))
	a.segment.until("the agent's status", func() error {
		_, err := a.router()
		return err
	})
}

func (a *agent) stop() {
	a.segment.t.Helper()
	a.segment.must(a.server.SignalAgent(syscall.SIGTERM))
	ctx, cancel := context.WithTimeout(a.segment.t.Context(), patience)
	defer cancel()
	a.segment.must(a.server.AwaitAgent(ctx))
}

func (a *agent) die() {
	a.segment.t.Helper()
	a.segment.must(a.server.Die())
}

func (a *agent) mac() string {
	switch {
	case a.virtual && a.segment.family == vrrp.IPv6:
		return virtualMAC6
	case a.virtual:
		return virtualMAC4
	}
	return a.segment.macOf(a.server.Node, lab.Interface)
}

// source returns the address that it advertises from.
func (a *agent) source() netip.Addr {
	a.segment.t.Helper()
	if a.global {
		return a.server.Addr6
	}
	return a.segment.source(a.server.Node)
}

func (a *agent) persuades() bool { return true }

func (a *agent) active() (bool, error) {
	r, err := a.router()
	return r.State == "Active" && r.Holding, err
}

// router returns the status of the agent's virtual router.
func (a *agent) router() (control.Router, error) {
	st, err := a.server.Status(a.segment.t.Context())
	if err != nil {
		return control.Router{}, err
	}
	if len(st.Routers) != 1 {
		return control.Router{}, fmt.Errorf("%d virtual routers", len(st.Routers))
	}
	return st.Routers[0], nil
}

// complains waits until the status names a problem in the given words.
func (a *agent) complains(words string) {
	a.segment.t.Helper()
	a.segment.until("a problem in the status", func() error {
		r, err := a.router()
		if err != nil {
			return err
		}
		for _, p := range r.Problems {
			if strings.Contains(p, words) {
				return nil
			}
		}
		return fmt.Errorf("%q is not among %q", words, r.Problems)
	})
}

// disputes waits until the history tells that the other router uses the address
// too: keepalived that gets advertisements it drops is Active without a word, for
// each puts off its own.
func (a *agent) disputes(other station) {
	a.segment.t.Helper()
	want := a.segment.vip().String() + " is also claimed by the station with MAC " + other.mac()
	a.segment.until("a conflict in the history", func() error {
		events, err := a.server.Agent().History(a.segment.t.Context())
		if err != nil {
			return err
		}
		for _, e := range events {
			if e.Kind == control.KindConflict && strings.Contains(e.Cause, want) {
				return nil
			}
		}
		return fmt.Errorf("%q is not in %+v", want, events)
	})
}

// transitions returns how often the state has changed since then.
func (a *agent) transitions(since time.Time) int {
	a.segment.t.Helper()
	events, err := a.server.Agent().History(a.segment.t.Context())
	a.segment.must(err)
	n := 0
	for _, e := range events {
		if e.Kind == control.KindTransition && e.Time.After(since) {
			n++
		}
	}
	return n
}

// ranks returns an error unless the agent ranks itself so.
func (a *agent) ranks(grade string) error {
	r, err := a.router()
	if err == nil && r.Grade != grade {
		err = fmt.Errorf("it is %s", r.Grade)
	}
	return err
}
