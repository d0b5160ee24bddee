package bgp

// Standing is how a node stands behind a route that it announces. A better one is a
// larger number.
type Standing uint8

// The standings, worst first.
const (
	None       Standing = iota // not announced
	LastResort                 // down, and announced in case that all are
	Leaving                    // about to be withdrawn (GRACEFUL_SHUTDOWN, RFC 8326)
	Degraded                   // the API server answers, but its datastore does not
	Ready
)

var standingNames = [...]string{"withdrawn", "last resort", "leaving", "degraded", "ready"}

func (s Standing) String() string { return standingNames[s] }

// steps is how many steps less preferred than a ready one a route is.
func (s Standing) steps() int { return int(Ready - s) }
