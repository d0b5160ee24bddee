package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
)

// What becomes of an idle connection.
const (
	stays = "stays"
	back  = "back"
	hangs = "hangs"
)

// sample is what was seen of one run. Durations are in nanoseconds in JSON.
type sample struct {
	Variant  string                `json:"variant"`
	Seed     uint64                `json:"seed"`
	Took     time.Duration         `json:"took"`
	Outage   time.Duration         `json:"outage"`
	Noise    time.Duration         `json:"noise"`
	Attempts int                   `json:"attempts"`
	Outcomes map[probe.Outcome]int `json:"outcomes"` // but for the answers
	Idle     string                `json:"idle"`
	IdleBack time.Duration         `json:"idle_back"` // after the move
	Two      time.Duration         `json:"two"`
	// TwoHealed is Two from the healing on.
	TwoHealed time.Duration `json:"two_healed"`
	// Twos is Two of each VIP, where each is a sample.
	Twos    []time.Duration `json:"twos,omitempty"`
	Nobody  time.Duration   `json:"nobody"`
	Moves   int             `json:"moves"`
	Settled time.Duration   `json:"settled"`
	Alarms  []string        `json:"alarms,omitempty"` // what the bound does not count
	Error   string          `json:"error,omitempty"`
}

// take fills in what the client saw.
func (s *sample) take(r probe.Report) {
	s.Outage, s.Noise, s.Attempts = r.LongestGap.Length(), r.Noise, r.Attempts
	s.Outcomes = maps.Clone(r.Outcomes)
	delete(s.Outcomes, probe.OK)
	s.Idle, s.IdleBack = idle(r)
}

// takeWorse takes in what another client saw, where that is worse.
func (s *sample) takeWorse(r probe.Report) {
	if gap := r.LongestGap.Length(); gap-r.Noise > s.Outage-s.Noise {
		s.Outage, s.Noise = gap, r.Noise
	}
	for k, n := range r.Outcomes {
		if k != probe.OK && n > s.Outcomes[k] {
			s.Outcomes[k] = n
		}
	}
}

// count takes in what became of one of the VIPs: the worst counts.
func (s *sample) count(t cluster.Tally) {
	s.Two, s.Nobody, s.Moves = max(s.Two, t.Two), max(s.Nobody, t.Nobody), max(s.Moves, t.Moves)
}

// idle says what became of the idle connection: for each move, when it was back after
// the new holder's first answer. One that was open to the old one a second later hangs.
func idle(r probe.Report) (what string, worst time.Duration) {
	what = stays
	for _, ch := range r.Changes[min(1, len(r.Changes)):] {
		i := slices.IndexFunc(r.Drops, func(d probe.Drop) bool {
			return d.Node == ch.From && d.Opened < ch.At && d.Lost > ch.At-ch.Outage-2*time.Second && d.Back > 0
		})
		if i >= 0 {
			what, worst = back, max(worst, r.Drops[i].Back-ch.At)
		} else if idleOn(r, ch) {
			return hangs, 0
		}
	}
	if len(r.Drops) > 0 && what == stays {
		d := r.Drops[0]
		return back, d.Back - d.Lost
	}
	return what, worst
}

// idleOn reports whether the idle connection is, at the end, still the one to the node
// that answered before the change, or never came back.
func idleOn(r probe.Report, ch probe.Change) bool {
	if len(r.Drops) == 0 {
		return r.Changes[0].To == ch.From
	}
	last := r.Drops[len(r.Drops)-1]
	return last.Back == 0 || last.To == ch.From && last.Back < ch.At
}

// lost counts the connections that failed, those cut off in flight apart.
func (s sample) lost() int {
	n := 0
	for k, v := range s.Outcomes {
		if k != probe.Reset {
			n += v
		}
	}
	return n
}

func (s sample) resets() int { return s.Outcomes[probe.Reset] }

// failures lists what was lost, by kind.
func (s sample) failures() string {
	var out []string
	for _, k := range slices.Sorted(maps.Keys(s.Outcomes)) {
		if k != probe.Reset {
			out = append(out, fmt.Sprintf("%d %s", s.Outcomes[k], k))
		}
	}
	if len(out) == 0 {
		return "none"
	}
	return strings.Join(out, ", ")
}

func (s sample) idleText() string {
	if s.Idle == back {
		return short(s.IdleBack)
	}
	return s.Idle
}

func (s sample) String() string {
	if s.Error != "" {
		return fmt.Sprintf("%-30s %s", s.Variant, s.Error)
	}
	return fmt.Sprintf("%-30s outage %s (noise %s), lost %s, resets %d, idle %s, two %s, nobody %s, moves %d, settled %s",
		s.Variant, short(s.Outage), short(s.Noise), s.failures(), s.resets(), s.idleText(), short(s.Two), short(s.Nobody), s.Moves, short(s.Settled))
}

// result is what was seen of a fault.
type result struct {
	Name     string   `json:"name"`
	When     string   `json:"when"`
	Host     string   `json:"host"`
	RealTime bool     `json:"real_time"`
	Samples  []sample `json:"samples"`
	Red      []string `json:"red"` // the bounds that were broken
}

// judge holds each run against the bound, and all together.
func (r *result) judge(f fault) {
	r.Red = nil
	for _, s := range r.Samples {
		for _, b := range f.bound.broken(s) {
			r.Red = append(r.Red, s.Variant+": "+b)
		}
	}
	if m := median(r.times(func(s sample) time.Duration { return s.Two })); f.bound.twoMedian > 0 && m > f.bound.twoMedian {
		r.Red = append(r.Red, fmt.Sprintf("two holders for %s in the median, bound %s", short(m), short(f.bound.twoMedian)))
	}
}

// times returns one figure of all runs, sorted.
func (r result) times(of func(sample) time.Duration) []time.Duration {
	var out []time.Duration
	for _, s := range r.Samples {
		if s.Error == "" {
			out = append(out, of(s))
		}
	}
	slices.Sort(out)
	return out
}

// twos returns for how long two held, sorted: of each run, or of each VIP in it.
func (r result) twos() []time.Duration {
	var out []time.Duration
	for _, s := range r.Samples {
		switch {
		case s.Error != "":
		case len(s.Twos) > 0:
			out = append(out, s.Twos...)
		default:
			out = append(out, s.Two)
		}
	}
	slices.Sort(out)
	return out
}

func median(sorted []time.Duration) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return percentile(sorted, 50)
}

// percentile is the nearest rank: the least that so many of 100 do not exceed.
func percentile(sorted []time.Duration, percent int) time.Duration {
	return sorted[(len(sorted)*percent+99)/100-1]
}

// line is the result for the terminal.
func (r result) line() string {
	if len(r.Red) > 0 {
		return fmt.Sprintf("RED  %s: %d runs, %d bounds broken", r.Name, len(r.Samples), len(r.Red))
	}
	return fmt.Sprintf("ok   %s: %d runs", r.Name, len(r.Samples))
}

// short rounds a time to what matters.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
