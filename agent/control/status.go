package control

import "time"

// Status is the state of an agent: GET /v1/status.
type Status struct {
	Version string    `json:"version"`
	Node    string    `json:"node"` // host name
	Started time.Time `json:"started"`
	Drained bool      `json:"drained"` // by the operator
	Health  Health    `json:"health"`
	Routers []Router  `json:"routers"`
	// Sessions are those with the routers that VIPs of mode "bgp" are announced to.
	Sessions []Session `json:"sessions,omitempty"`
	// Problems are what the operator should know and do, one line each. Those
	// of one virtual router are with it.
	Problems []string `json:"problems,omitempty"`
	// Moves are the last changes of state, oldest first.
	Moves []Event `json:"moves,omitempty"`
}

// NeverHeard begins the problem of an Active that has heard no other router. It is one only if
// there are others: Backups are silent.
const NeverHeard = "no peer was ever heard"

// Health is the verdict on the local API server.
type Health struct {
	Grade   string    `json:"grade"` // ready, degraded, down
	Settled bool      `json:"settled"`
	Cause   string    `json:"cause,omitempty"`
	Since   time.Time `json:"since"`
	// PreemptHold is how long this node must have been ready before it may
	// preempt; it grows when the grade flaps.
	PreemptHold Duration `json:"preempt_hold"`
	Checks      []Check  `json:"checks"`
}

// Check is one probe.
type Check struct {
	Type    string    `json:"type"`
	Name    string    `json:"name"`
	Grade   string    `json:"grade"`
	Cause   string    `json:"cause,omitempty"`
	Since   time.Time `json:"since"`
	Latency Duration  `json:"latency"` // of the last success
}

// Router is one virtual router: a VIP in one address family. One of mode "bgp" is Active
// while this node announces it, whoever else does.
type Router struct {
	VIP            string    `json:"vip"`
	Family         string    `json:"family"`             // IPv4, IPv6
	Mode           string    `json:"mode,omitempty"`     // vrrp, bgp; empty: vrrp, of an older agent
	VRID           uint8     `json:"vrid,omitempty"`     // bgp: none
	Standing       string    `json:"standing,omitempty"` // bgp: how its route is announced
	Interface      string    `json:"interface"`          // empty until it was found
	Addresses      []string  `json:"addresses"`
	State          string    `json:"state"` // Initialize, Backup, Active
	Since          time.Time `json:"since"`
	Cause          string    `json:"cause"`    // of the last change of state, in words
	Holding        bool      `json:"holding"`  // the addresses are on the interface
	Grade          string    `json:"grade"`    // what this node ranks as
	Priority       uint8     `json:"priority"` // as advertised
	Configured     uint8     `json:"configured_priority"`
	Source         string    `json:"source,omitempty"` // address of our advertisements
	AdvertInterval Duration  `json:"advert_interval"`
	// Active is the router that holds the addresses as far as this node knows:
	// itself or the peer that it hears.
	Active *Peer `json:"active,omitempty"`
	// ActiveSince is since when, as far as this node knows.
	ActiveSince time.Time `json:"active_since,omitzero"`
	// Peers are all that were heard, the latest first.
	Peers    []Peer            `json:"peers"`
	Counters map[string]uint64 `json:"counters"` // names as in RFC 6527, and some of our own
	Problems []string          `json:"problems,omitempty"`
}

// Peer is another router of the same virtual router, as heard.
type Peer struct {
	Address   string    `json:"address"`
	Priority  uint8     `json:"priority"`
	Grade     string    `json:"grade"`
	LastHeard time.Time `json:"last_heard"`
}

// Session is that with a router.
type Session struct {
	Peer     string            `json:"peer"`
	AS       uint32            `json:"as"`
	State    string            `json:"state"` // Idle, Connect, OpenSent, OpenConfirm, Established
	Since    time.Time         `json:"since"`
	Source   string            `json:"source,omitempty"`    // this end
	RouterID string            `json:"router_id,omitempty"` // of the router
	HoldTime Duration          `json:"hold_time"`           // as agreed on; 0s: the session is not up
	Families []string          `json:"families,omitempty"`  // whose routes it carries: IPv4, IPv6
	Routes   int               `json:"routes"`              // announced
	BFD      string            `json:"bfd,omitempty"`       // up, down; empty: none
	Counters map[string]uint64 `json:"counters"`
	Problem  string            `json:"problem,omitempty"`
}

// Event is an entry of the history: GET /v1/history.
type Event struct {
	Time   time.Time `json:"time"`
	Kind   string    `json:"kind"` // transition, health, drain, conflict, reload, route, session
	VIP    string    `json:"vip,omitempty"`
	Family string    `json:"family,omitempty"`
	VRID   uint8     `json:"vrid,omitempty"`
	From   string    `json:"from,omitempty"`
	To     string    `json:"to,omitempty"`
	Code   string    `json:"code,omitempty"` // of the cause, for programs
	Cause  string    `json:"cause"`          // in words
	Peer   string    `json:"peer,omitempty"`
	// Gap is, for a router that became Active, how long before its first advertisement
	// the last one was that this node knows of, of whomever.
	Gap Duration `json:"gap,omitempty"`
}

// Kinds of Event.
const (
	KindTransition = "transition"
	KindHealth     = "health"
	KindDrain      = "drain"
	KindConflict   = "conflict"
	KindReload     = "reload"
	KindRoute      = "route"   // announced in another way
	KindSession    = "session" // with a router
)

// Result is the answer to a request to do something.
type Result struct {
	Message string `json:"message"`
	// Moved says, for a drain that was waited for, that this node holds nothing any more.
	Moved bool `json:"moved,omitempty"`
}

// Failure is the answer to a request that failed.
type Failure struct {
	Error string `json:"error"`
}

// Duration is a time.Duration that is written as text: "250ms".
type Duration time.Duration

// MarshalText writes d as time.Duration does.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText reads what MarshalText writes.
func (d *Duration) UnmarshalText(b []byte) error {
	v, err := time.ParseDuration(string(b))
	*d = Duration(v)
	return err
}
