package apiserver

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// Mode is what the server does until told otherwise. Its text, which [ParseMode]
// reads, is the kind and what the kind needs: "ready", "slow 300ms", "status 403".
type Mode struct {
	Kind   Kind
	Period time.Duration // Slow: the delay of every answer; Flapping: half of it unready, half of it ready
	Status int           // Status: the answer's code
}

// Kind is the word that names a mode.
type Kind string

// The kinds of modes. Start and Stop are not modes that last, but sequences of
// the others.
const (
	Ready        Kind = "ready"          // all is well
	EtcdLost     Kind = "etcd-lost"      // no etcd leader: the health answers come after 2 s, with 500, unless etcd is excluded
	EtcdLostFast Kind = "etcd-lost-fast" // the same with the checks of newer releases (etcd-readiness too), answered at once
	Unready      Kind = "unready"        // every health answer is 500 at once, whatever is excluded
	Status       Kind = "status"         // every request that needs credentials is answered with this status
	Hang         Kind = "hang"           // accepts connections and answers nothing, until the mode changes
	Slow         Kind = "slow"           // ready, but each answer comes late
	Flapping     Kind = "flapping"       // unready and ready in turns

	Refused  Kind = "refused"  // nothing listens; open connections are reset
	Starting Kind = "starting" // 503 "starting" for every request; a server without etcd quorum stays here
	Missing  Kind = "missing"  // /ping is 200, 401 without a certificate, else 404
	Booting  Kind = "booting"  // the same, but the health answers are 500; the list of failed checks shrinks

	Start Kind = "start" // from Refused by Starting, Missing and Booting to Ready, in about 4.5 s
	Stop  Kind = "stop"  // what SIGTERM does: Hang for 0.06 to 0.25 s, then Refused
)

// argument says what follows the kind in a mode's text.
type argument int

const (
	none argument = iota
	duration
	code
)

// arguments returns what each kind takes.
func arguments() map[Kind]argument {
	return map[Kind]argument{
		Ready: none, EtcdLost: none, EtcdLostFast: none, Unready: none, Hang: none,
		Refused: none, Starting: none, Missing: none, Booting: none, Start: none, Stop: none,
		Slow: duration, Flapping: duration, Status: code,
	}
}

// ParseMode reads a mode's text.
func ParseMode(text string) (Mode, error) {
	word, arg, _ := strings.Cut(strings.TrimSpace(text), " ")
	m := Mode{Kind: Kind(word)}
	takes, known := arguments()[m.Kind]
	if !known {
		return Mode{}, fmt.Errorf("unknown mode %q", word)
	}
	switch takes {
	case duration:
		d, err := time.ParseDuration(arg)
		if err != nil || d <= 0 {
			return Mode{}, fmt.Errorf("mode %s needs a duration such as 300ms, not %q", word, arg)
		}
		m.Period = d
	case code:
		n, err := strconv.Atoi(arg)
		if err != nil || n < 200 || n > 599 {
			return Mode{}, fmt.Errorf("mode %s needs an HTTP status such as 403, not %q", word, arg)
		}
		m.Status = n
	case none:
		if arg != "" {
			return Mode{}, fmt.Errorf("mode %s takes no argument, not %q", word, arg)
		}
	}
	return m, nil
}

// String returns the mode's text.
func (m Mode) String() string {
	switch arguments()[m.Kind] {
	case duration:
		return fmt.Sprintf("%s %s", m.Kind, m.Period)
	case code:
		return fmt.Sprintf("%s %d", m.Kind, m.Status)
	}
	return string(m.Kind)
}

// step is a mode that lasts for a time. The last of a sequence lasts for ever.
type step struct {
	mode  Mode
	lasts time.Duration
}

// sequence returns what the server goes through when mode m is commanded. The
// times of a start are multiplied by scale.
func sequence(m Mode, scale float64) []step {
	scaled := func(d time.Duration) time.Duration { return time.Duration(float64(d) * scale) }
	switch m.Kind {
	case Start:
		return []step{
			{Mode{Kind: Refused}, scaled(500 * time.Millisecond)},
			{Mode{Kind: Starting}, scaled(500 * time.Millisecond)},
			{Mode{Kind: Missing}, scaled(30 * time.Millisecond)},
			{Mode{Kind: Booting}, scaled(3470 * time.Millisecond)},
			{Mode{Kind: Ready}, 0},
		}
	case Stop:
		window := 60*time.Millisecond + rand.N(190*time.Millisecond)
		return []step{{Mode{Kind: Hang}, window}, {Mode{Kind: Refused}, 0}}
	}
	return []step{{m, 0}}
}

// state is a mode in force.
type state struct {
	mode  Mode
	since time.Time
	lasts time.Duration // 0: until the next command
}

// at returns the kind that answers requests at the time now.
func (s *state) at(now time.Time) Kind {
	switch s.mode.Kind {
	case Flapping:
		if now.Sub(s.since)%s.mode.Period < s.mode.Period/2 {
			return Unready
		}
		return Ready
	case Slow:
		return Ready
	}
	return s.mode.Kind
}

// booted returns which part of the start-up is done at the time now, 0 to 1.
func (s *state) booted(now time.Time) float64 {
	if s.lasts == 0 {
		return 0
	}
	return min(1, float64(now.Sub(s.since))/float64(s.lasts))
}
