package main

import (
	"fmt"
	"strings"
	"time"
)

// goal is something that vipd is to reach, held against what was measured.
type goal struct {
	what, want, got string
	reached         bool
	note            string // where the measurement is not what was asked for
}

// checklist returns the goals of which anything was measured.
func (b *book) checklist() []goal {
	var all []goal
	add := func(g goal, known bool) {
		if known {
			all = append(all, g)
		}
	}
	add(b.silenceGoal(vipdDefault))
	add(b.silenceGoal(vipdFast))
	add(b.silenceGoal(vipdSlow))
	add(b.gapGoal(vipdSlow, peerDefault))
	add(b.gapGoal(vipdFast, peerFast))
	add(b.ratioGoal("node death", 0.35))
	add(b.ratioGoal("API killed", 0.05))
	add(b.ratioGoal("API unready", 0.75))
	add(b.ratioGoal("API hangs", 0.75))
	add(b.hangGoal())
	for _, f := range []string{"graceful stop", "return with preemption"} {
		add(b.losslessGoal(f))
		add(b.idleGoal(f))
	}
	add(b.healGoal())
	all = append(all, b.costGoals()...)
	add(b.strainGoal())
	return all
}

// silenceGoal wants a takeover when the protocol has it, not later.
func (b *book) silenceGoal(name string) (goal, bool) {
	samples := b.Faults["node death"][name]
	if len(samples) == 0 {
		return goal{}, false
	}
	e := find(name)[0]
	want := 3*e.interval + e.skew()
	got := spreadOf(column(samples, advert))
	return goal{"node death, " + name + ": silence until the successor advertises", "3A + Skew = " + ms(want) + " ms, 20 ms more at most",
		fmt.Sprintf("median %s ms, most %s ms", ms(got.median), ms(got.max)), got.median <= want+20*time.Millisecond, ""}, true
}

// gapGoal compares that silence at the same interval and priority.
func (b *book) gapGoal(name, peer string) (goal, bool) {
	own, theirs := b.Faults["node death"][name], b.Faults["node death"][peer]
	if len(own) == 0 || len(theirs) == 0 {
		return goal{}, false
	}
	r := ratio(spreadOf(column(own, advert)).median, spreadOf(column(theirs, advert)).median)
	return goal{"node death, " + name + " beside " + peer + ": the same silence", "≤ 1.02 ×", times(r), r <= 1.02, ""}, true
}

func (b *book) ratioGoal(fault string, most float64) (goal, bool) {
	own, theirs := b.Faults[fault][vipdDefault], b.Faults[fault][peerDefault]
	if len(own) == 0 || len(theirs) == 0 {
		return goal{}, false
	}
	o, t := spreadOf(column(own, outage)).median, spreadOf(column(theirs, outage)).median
	r := ratio(o, t)
	got := fmt.Sprintf("%s (%s to %s ms)", times(r), ms(o), ms(t))
	if tuned := b.Faults[fault][peerFast]; len(tuned) > 0 && strings.HasPrefix(fault, "API") {
		got += fmt.Sprintf("; %s the tuned one", times(ratio(o, spreadOf(column(tuned, outage)).median)))
	}
	return goal{fault + ", at defaults: outage", fmt.Sprintf("≤ %.2f ×", most), got, r <= most, ""}, true
}

// hangGoal compares with a check that does not believe a single failure either.
func (b *book) hangGoal() (goal, bool) {
	own, theirs := b.Faults["API hangs"][vipdDefault], b.Faults["API hangs"][peerTwice]
	if len(own) == 0 || len(theirs) == 0 {
		return goal{}, false
	}
	o, t := spreadOf(column(own, outage)).median, spreadOf(column(theirs, outage)).median
	r := ratio(o, t)
	return goal{"API hangs, beside " + peerTwice + ": outage", "≤ 0.75 ×", fmt.Sprintf("%s (%s to %s ms)", times(r), ms(o), ms(t)), r <= 0.75, ""}, true
}

func (b *book) losslessGoal(fault string) (goal, bool) {
	samples := b.Faults[fault][vipdDefault]
	if len(samples) == 0 {
		return goal{}, false
	}
	lost, resets := 0, 0
	for _, s := range samples {
		lost, resets = lost+s.Failed, resets+s.Resets
	}
	return goal{fault + ": refused, timed-out or unanswered connections", "none", fmt.Sprintf("%d in %d runs (%d cut off in flight)", lost, len(samples), resets), lost == 0, ""}, true
}

func (b *book) idleGoal(fault string) (goal, bool) {
	samples := b.Faults[fault][vipdDefault]
	if len(samples) == 0 {
		return goal{}, false
	}
	worst, hang := time.Duration(0), 0
	for _, s := range samples {
		worst = max(worst, s.Back)
		if s.Idle == hangs {
			hang++
		}
	}
	return goal{fault + ": an idle connection is back", "≤ 1 s", fmt.Sprintf("%s ms at most, %d hang", ms(worst), hang), worst <= time.Second && hang == 0, ""}, true
}

// heals is how many partitions have to heal well.
const heals = 100

func (b *book) healGoal() (goal, bool) {
	stuck, n := 0, 0
	for _, name := range []string{vipdDefault, vipdFast, vipdSlow} {
		for _, s := range b.Faults["partition healed"][name] {
			n++
			if s.Stuck || s.Outage > stuckAfter {
				stuck++
			}
		}
	}
	g := goal{"partition healed: black holes", fmt.Sprintf("0 in %d", heals), fmt.Sprintf("%d in %d", stuck, n), stuck == 0, ""}
	if n < heals {
		g.note = fmt.Sprintf("only %d were healed", n)
	}
	return g, n > 0
}

func (b *book) costGoals() []goal {
	var all []goal
	compare := func(l load, what, unit string, most float64, of func(expense) float64, roles ...string) {
		own, theirs := b.bill(l, vipdDefault), b.bill(l, peerDefault)
		if own == nil || theirs == nil {
			return
		}
		for _, role := range roles {
			o, t := of(own.Active), of(theirs.Active)
			if role == "Backup" {
				o, t = of(own.Backup), of(theirs.Backup)
			}
			r := o / max(t, 0.001)
			all = append(all, goal{fmt.Sprintf("%s, %s (%v)", what, role, l), fmt.Sprintf("≤ %.1f ×", most), fmt.Sprintf("%s (%.2f to %.2f %s)", times(r), o, t, unit), r <= most, ""})
		}
	}
	cpu := func(e expense) float64 { return e.CPU }
	rss := func(e expense) float64 { return float64(e.Memory.RSS) / 1024 }
	compare(load{1, 1, true, true}, "CPU", "s/min", 0.5, cpu, "Active", "Backup")
	compare(load{VRIDs: 255, Families: 1}, "CPU", "s/min", 1, cpu, "Active", "Backup")
	compare(load{1, 1, true, true}, "RSS", "MiB", 1.5, rss, "Active", "Backup")
	compare(load{VRIDs: 255, Families: 1}, "RSS", "MiB", 1.5, rss, "Active", "Backup")
	if one, many := b.bill(load{VRIDs: 1, Families: 1}, vipdDefault), b.bill(load{VRIDs: 255, Families: 1}, vipdDefault); one != nil && many != nil {
		grown := float64(many.Active.Memory.RSS-one.Active.Memory.RSS) / 254
		all = append(all, goal{"RSS for each further VRID, Active", "≤ 20 KiB", fmt.Sprintf("%.0f KiB", grown), grown <= 20, ""})
		apart := many.TakeoverLast - many.TakeoverFirst
		all = append(all, goal{"takeover of 255 VIPs: the last after the first", "≤ 50 ms", ms(apart) + " ms", apart <= 50*time.Millisecond, ""})
	}
	return all
}

// bill returns what an agent cost under a load, or nil.
func (b *book) bill(l load, agent string) *bill {
	for i, x := range b.Bills {
		if x.Load == l && x.Agent == agent {
			return &b.Bills[i]
		}
	}
	return nil
}

// strainLasts is how long adverts of 10 ms have to be sustained.
const strainLasts = 10 * time.Minute

func (b *book) strainGoal() (goal, bool) {
	for _, s := range b.Strains {
		if s.Agent != vipdDefault || s.Interval != 10*time.Millisecond {
			continue
		}
		g := goal{"adverts each 10 ms on overloaded CPUs, real-time scheduling: takeovers without a cause", "none in " + short(strainLasts),
			fmt.Sprintf("%d in %s", s.False, short(s.Lasted)), s.False == 0, ""}
		if s.Lasted < strainLasts {
			g.note = "shorter than asked for"
		}
		return g, true
	}
	return goal{}, false
}

// goals is the checklist for a terminal.
func (b *book) goals() string {
	var out strings.Builder
	for _, g := range b.checklist() {
		fmt.Fprintf(&out, "%-9s %s: %s (%s)\n", g.verdict(), g.what, g.got, g.want)
	}
	return out.String()
}

func (g goal) verdict() string {
	switch {
	case !g.reached:
		return "MISSED"
	case g.note != "":
		return "so far"
	}
	return "reached"
}

func advert(s sample) time.Duration { return s.Advert }

func ratio(a, b time.Duration) float64 { return float64(a) / float64(max(b, time.Microsecond)) }

func times(r float64) string {
	if r >= 10 {
		return fmt.Sprintf("%.0f ×", r)
	}
	return fmt.Sprintf("%.2f ×", r)
}
