package vrrp

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/datadriven"
)

// TestMachine runs the stories in testdata/machine. The numbers in the names of
// the files are those of the conformance list (test/README.md).
//
//	new        make a machine: priority, interval, and the other fields of Config
//	startup, resume, shutdown, disable, successor, address-lost, contested, sent, send-failed
//	verdict    grade=ready|degraded|down [hold=1s]
//	observe    grade=... [began=-5ms]   a probe; began is counted from now
//	demote, bar, permit                 on=true|false
//	configure  as new, for the fields that change
//	receive    priority=N [src=198.51.100.12] [interval=...] [at=-5ms]
//	advance    5s                        ticking at each deadline
//	stall      5s                        time passes, nothing runs
//	tick, state
func TestMachine(t *testing.T) {
	datadriven.Walk(t, "testdata/machine", func(t *testing.T, path string) {
		s := &story{}
		datadriven.RunTest(t, path, s.run)
	})
}

// story is a machine and the time in it.
type story struct {
	m   *Machine
	cfg Config
	now Instant
	out strings.Builder

	what  string // the last line, and how often it came again
	times int
}

func (s *story) run(t *testing.T, d *datadriven.TestData) string {
	s.out.Reset()
	if e, ok := s.event(t, d); ok {
		s.step(e)
		s.flush()
		return s.out.String()
	}
	switch d.Cmd {
	case "new":
		s.cfg = Config{Priority: 200, Addr: netip.MustParseAddr("198.51.100.11"), AdvertInterval: 250 * time.Millisecond, Preempt: true, Linger: true}
		s.configure(t, d)
		s.m, s.now = New(s.cfg), 0
	case "advance":
		s.advance(duration(t, d.CmdArgs[0].Key))
		s.flush()
	case "stall":
		s.now = s.now.Add(duration(t, d.CmdArgs[0].Key))
	case "state":
		s.state()
	default:
		t.Fatalf("%s: unknown command %q", d.Pos, d.Cmd)
	}
	return s.out.String()
}

func (s *story) event(t *testing.T, d *datadriven.TestData) (Event, bool) {
	plain := map[string]Event{"startup": Startup(), "resume": Resume(), "shutdown": Shutdown(), "disable": Disable(), "tick": Tick(),
		"withdraw": Withdraw(), "successor": SuccessorAnnounced(), "address-lost": AddressLost(), "contested": Contested(), "sent": Sent(), "send-failed": SendFailed()}
	if e, ok := plain[d.Cmd]; ok {
		return e, true
	}
	switch d.Cmd {
	case "verdict":
		return Verdict(grade(t, arg(d, "grade", "")), duration(t, arg(d, "hold", "1s"))), true
	case "observe":
		return Observed(grade(t, arg(d, "grade", "")), s.now.Add(duration(t, arg(d, "began", "0s")))), true
	case "demote":
		return Demote(arg(d, "on", "") == "true"), true
	case "bar":
		return Bar(arg(d, "on", "") == "true"), true
	case "permit":
		return Permit(arg(d, "on", "") == "true"), true
	case "configure":
		s.configure(t, d)
		return Configure(s.cfg), true
	case "receive":
		var p uint8
		d.ScanArgs(t, "priority", &p)
		return Received(Advert{
			Src: netip.MustParseAddr(arg(d, "src", "198.51.100.12")), Priority: p,
			Interval: duration(t, arg(d, "interval", "250ms")), At: s.now.Add(duration(t, arg(d, "at", "0s"))),
		}), true
	}
	return Event{}, false
}

func (s *story) configure(t *testing.T, d *datadriven.TestData) {
	for _, a := range d.CmdArgs {
		on := len(a.Vals) == 0 || a.Vals[0] == "true"
		switch a.Key {
		case "priority":
			d.ScanArgs(t, "priority", &s.cfg.Priority)
		case "addr":
			s.cfg.Addr = netip.MustParseAddr(a.Vals[0])
		case "interval":
			s.cfg.AdvertInterval = duration(t, a.Vals[0])
		case "preempt":
			s.cfg.Preempt = on
		case "delay":
			s.cfg.PreemptDelay = duration(t, a.Vals[0])
		case "release-on-down":
			s.cfg.ReleaseOnDown = on
		case "linger":
			s.cfg.Linger = on
		case "spread":
			s.cfg.Spread = on
		case "align":
			s.cfg.Align = on
		case "has-been-ready":
			s.cfg.HasBeenReady = on
		default:
			t.Fatalf("%s: unknown argument %q", d.Pos, a.Key)
		}
	}
}

func (s *story) advance(d time.Duration) {
	end := s.now.Add(d)
	for s.m.Deadline() <= end {
		s.now = max(s.now, s.m.Deadline())
		if len(s.step(Tick())) == 0 && s.m.Deadline() <= s.now {
			fmt.Fprintln(&s.out, "spinning: the deadline stays and nothing is done")
			return
		}
	}
	s.now = end
}

func (s *story) step(e Event) []Effect {
	effects := s.m.Step(s.now, e)
	for _, f := range effects {
		s.print(describe(f))
	}
	return effects
}

// flush tells how often the last line came again.
func (s *story) flush() {
	if s.times > 0 {
		fmt.Fprintf(&s.out, "          (%d more)\n", s.times)
	}
	s.what, s.times = "", 0
}

// print adds a line; a run of the same advertisement becomes one.
func (s *story) print(what string) {
	at := fmt.Sprintf("%.4f", time.Duration(s.now).Seconds())
	if what == s.what && strings.HasPrefix(what, "send") {
		s.times++
		return
	}
	s.flush()
	s.what, s.times = what, 0
	fmt.Fprintf(&s.out, "%-9s %s\n", at, what)
}

func describe(f Effect) string {
	switch f.Kind {
	case Send:
		return fmt.Sprintf("send %d", f.Priority)
	case Muted:
		return fmt.Sprintf("muted %t", f.On)
	case Changed:
		tr := f.Transition
		if tr.Peer.IsValid() {
			return fmt.Sprintf("%s -> %s: %s (%s, priority %d)", tr.From, tr.To, tr.Cause, tr.Peer, tr.Priority)
		}
		return fmt.Sprintf("%s -> %s: %s", tr.From, tr.To, tr.Cause)
	}
	return f.Kind.String()
}

func (s *story) state() {
	m := s.m
	fmt.Fprintf(&s.out, "%s priority=%d grade=%s", m.State(), m.Priority(), m.Grade())
	if m.Holding() {
		fmt.Fprint(&s.out, " holding")
	}
	if !m.Eligible() {
		fmt.Fprint(&s.out, " not-eligible")
	}
	if m.Mute() {
		fmt.Fprint(&s.out, " mute")
	}
	if d := m.Deadline(); d != Never {
		fmt.Fprintf(&s.out, " deadline=+%.7f", d.Sub(s.now).Seconds())
	}
	if r := m.Rival(s.now); r.Count > 0 {
		fmt.Fprintf(&s.out, " rival=%s(%d)x%d", r.Addr, r.Priority, r.Count)
	}
	fmt.Fprintln(&s.out)
}

func arg(d *datadriven.TestData, key, def string) string {
	for _, a := range d.CmdArgs {
		if a.Key == key && len(a.Vals) == 1 {
			return a.Vals[0]
		}
	}
	return def
}

func grade(t *testing.T, s string) Grade {
	t.Helper()
	for _, g := range []Grade{Down, Degraded, Ready} {
		if g.String() == s {
			return g
		}
	}
	t.Fatalf("no grade %q", s)
	return 0
}

func duration(t *testing.T, s string) time.Duration {
	t.Helper()
	d, err := time.ParseDuration(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}
