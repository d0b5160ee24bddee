package metrics

import "time"

// Source gives what is measured. It is asked once for each scrape, perhaps by several
// goroutines.
type Source interface {
	Metrics() Snapshot
}

// Snapshot is an agent at one moment.
type Snapshot struct {
	Version  string
	Drained  bool // by the operator
	Problems int
	Grade    string
	Settled  bool
	Hold     time.Duration // for which the node must have been ready before it preempts
	Checks   []Check
	Routers  []Router
	Routes   []Route   // VIPs of mode "bgp"
	Sessions []Session // with the routers that they are announced to
}

// Route is a VIP of mode "bgp" in one address family.
type Route struct {
	VIP, Family, Interface string
	Standing, State, Grade string
	Since                  time.Time
	Holding                bool
	Problems               int
}

// Session is that with a router.
type Session struct {
	Peer, AS, State                          string
	BFD                                      string // up, down; "": none
	Routes                                   int
	Hold                                     time.Duration // as agreed on
	Established, Dropped                     uint64
	Failed                                   map[string]uint64 // attempts, by why
	Sent, Received                           uint64            // messages
	UpdatesSent, UpdatesReceived, Malformed  uint64
	NotificationsSent, NotificationsReceived uint64
}

// Check is one probe of the API server.
type Check struct {
	Type, Name        string
	Grade             string
	Succeeded, Failed Reading // how long its probes took
}

// Router is one virtual router.
type Router struct {
	VIP, Family string

	VRID                 uint8
	Interface, Source    string
	State                string
	Since                time.Time
	Holding, Mute        bool
	Grade                string
	Priority, Configured uint8
	Interval             time.Duration
	Peers, Problems      int

	Transitions map[string]uint64 // by cause
	Conflicts   uint64

	Sent, LeavesSent, SendErrors        uint64
	Received, LeavesReceived            uint64
	Refused                             map[string]uint64 // by reason
	Overflow, Unsigned                  uint64
	ChecksumPseudoHeader, ChecksumPlain uint64

	Gap, LeaseMargin, Lateness Reading
}
