package main

import (
	"fmt"
	"time"
)

// limit is the shortest outage that the protocol and the kernel allow, in the median
// over all phases, with the settings of an entrant.
type limit struct {
	Median time.Duration `json:"median"`
	Why    string        `json:"why"`
}

func none(entrant) limit { return limit{Why: "nothing happens"} }

// silence is how a Backup learns of the end of a node.
func silence(e entrant) limit {
	return limit{5*e.interval/2 + e.skew(), "2A + Skew to 3A + Skew: three intervals of silence, of which up to one is over when the node dies"}
}

// crash is how soon a holder can tell that its API server is gone, and be followed.
func crash(e entrant) limit {
	if e.vipd() {
		return limit{e.skew(), "Skew: the kernel closes the connection at once, and a Backup waits for Skew_Time"}
	}
	why := "half an interval of the check until it looks, and Skew"
	if e.crashTells > 0 {
		why = fmt.Sprintf("half an interval of the check until it looks, %s until enough have failed, and Skew", short(e.crashTells))
	}
	return limit{e.nextCheck + e.crashTells + e.skew(), why}
}

// hang is how soon a server that does not answer can be told from a slow one.
func hang(e entrant) limit {
	return limit{e.nextCheck + e.hangTells + e.skew(), fmt.Sprintf("the next check begins after %s, a hang is told from slowness after %s, and Skew", short(e.nextCheck), short(e.hangTells))}
}

func overlap(entrant) limit {
	return limit{Why: "0: the old holder can answer until the new one has announced itself"}
}

func untouched(entrant) limit {
	return limit{Why: "0: the API server answers, whoever looks after the VIP"}
}
