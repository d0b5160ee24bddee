package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/vipd/vipd/test/client/probe"
	"github.com/vipd/vipd/test/cluster"
)

// sample is what was seen of one run. Durations are in nanoseconds in JSON.
type sample struct {
	Outage  time.Duration `json:"outage"` // last answer before to first answer of another node
	Failed  int           `json:"failed"` // connections, those cut off in flight apart
	Resets  int           `json:"resets"` // cut off in flight
	Moved   time.Duration `json:"moved"`  // from the fault until the next holder has the VIP; 0: it does not get it
	Two     time.Duration `json:"two"`
	TwoEnds bool          `json:"two_ends"` // two did not hold it until the end
	Nobody  time.Duration `json:"nobody"`
	Advert  time.Duration `json:"advert"` // from one holder's last advertisement to the next one's first
	Idle    string        `json:"idle"`
	Back    time.Duration `json:"back"` // of the idle connection, after the move
	Noise   time.Duration `json:"noise"`
	Stuck   bool          `json:"stuck,omitempty"`
	Story   *story        `json:"story,omitempty"`
}

// What becomes of an idle connection.
const (
	stays = "stays"
	back  = "back"
	hangs = "hangs"
)

// String is the sample for a terminal, in milliseconds.
func (s sample) String() string {
	return fmt.Sprintf("outage %s (noise %s), failed %d, resets %d, moved after %s, two %s, nobody %s, idle %s", ms(s.Outage), ms(s.Noise), s.Failed, s.Resets,
		ms(s.Moved), ms(s.Two), ms(s.Nobody), s.Idle)
}

// take fills in what the client saw.
func (s *sample) take(r probe.Report, from, to string) {
	s.Failed, s.Resets, s.Noise = r.Failed, r.Outcomes[probe.Reset], r.Noise
	s.Outage, s.Idle = r.LongestGap.Length(), stays
	if ch, moved := move(r, from, to); moved {
		s.Outage = ch.Outage
		s.Idle, s.Back = idle(r.Drops, ch)
	}
}

// move returns the last change from one node to the other.
func move(r probe.Report, from, to string) (probe.Change, bool) {
	for _, ch := range slices.Backward(r.Changes) {
		if ch.From == from && ch.To == to {
			return ch, true
		}
	}
	return probe.Change{}, false
}

// idle says what became of the idle connection to the node that no longer answers.
func idle(drops []probe.Drop, ch probe.Change) (string, time.Duration) {
	i := slices.IndexFunc(drops, func(d probe.Drop) bool {
		return d.Node == ch.From && d.Opened < ch.At && d.Back > 0
	})
	if i < 0 {
		return hangs, 0
	}
	return back, max(0, drops[i].Back-ch.At)
}

// count fills in who had the VIP.
func (s *sample) count(l *cluster.Ledger, began, ended time.Time, to string) {
	t := l.Tally(cluster.VIP4, began, ended)
	s.Two, s.Nobody = t.Two, t.Nobody
	s.TwoEnds = len(l.Holders(cluster.VIP4)) < 2
	for _, e := range l.Entries(began, ended) {
		if e.Addr == cluster.VIP4 && e.Node == to && e.There {
			s.Moved = e.At.Sub(began)
			break
		}
	}
}

// spread is where the values of a column lie.
type spread struct{ min, median, p95, max time.Duration }

func spreadOf(values []time.Duration) spread {
	if len(values) == 0 {
		return spread{}
	}
	v := slices.Clone(values)
	slices.Sort(v)
	n := len(v)
	return spread{v[0], median(v), v[min(n-1, n*95/100)], v[n-1]}
}

// median is the middle one of sorted values, or between the two that are.
func median(sorted []time.Duration) time.Duration {
	n := len(sorted)
	if n%2 == 1 {
		return sorted[n/2]
	}
	return (sorted[n/2-1] + sorted[n/2]) / 2
}

// String is the spread in milliseconds.
func (s spread) String() string {
	return fmt.Sprintf("%s / %s / %s / %s", ms(s.min), ms(s.median), ms(s.p95), ms(s.max))
}

// column returns one figure of all samples.
func column[T any](samples []sample, of func(sample) T) []T {
	var out []T
	for _, s := range samples {
		out = append(out, of(s))
	}
	return out
}

// ms is a time in milliseconds, with a digit behind the point while that says something.
func ms(d time.Duration) string {
	m := float64(d.Microseconds()) / 1000
	if m < 100 {
		return fmt.Sprintf("%.1f", m)
	}
	return fmt.Sprintf("%.0f", m)
}

// short rounds a time to what matters.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
