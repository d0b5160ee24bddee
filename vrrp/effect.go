package vrrp

import "net/netip"

// Effect is something to be done, in the order given.
type Effect struct {
	Kind       EffectKind
	Priority   uint8      // Send: the priority to advertise
	Transition Transition // Changed
	On         bool       // Muted
}

// EffectKind says what an Effect asks for.
type EffectKind uint8

// The effects.
const (
	Send     EffectKind = iota // send an advertisement
	Claim                      // put the addresses on the interface; they may be there already
	Release                    // take the addresses off the interface
	Announce                   // tell the network where the addresses are
	Probe                      // begin a fresh probe of the API server
	Changed                    // the state changed
	Muted                      // advertisements have not gone out for 3 intervals, or that is over
	Stopped                    // the shutdown is complete
)

var effectNames = [...]string{"send", "claim", "release", "announce", "probe", "changed", "muted", "stopped"}

func (k EffectKind) String() string { return effectNames[k] }

// State is a state of a virtual router (RFC 9568, section 6.4).
type State uint8

// The states.
const (
	Initialize State = iota
	Backup
	Active
)

var stateNames = [...]string{"Initialize", "Backup", "Active"}

func (s State) String() string { return stateNames[s] }

// Transition is a change of state and why it came.
type Transition struct {
	From, To State
	Cause    Cause
	Peer     netip.Addr // the peer that caused it, where one did
	Priority uint8      // what that peer advertised
}

// Cause says why a state changed.
type Cause uint8

// The causes.
const (
	CauseStartup   Cause = iota // the router was started
	CauseResumed                // the agent was restarted
	CauseOwner                  // it owns the addresses
	CauseSilence                // no advertisement for Active_Down_Interval
	CauseLeft                   // the Active left with priority 0
	CauseUnfit                  // the Active's API server is worse than ours
	CausePreempt                // the Active has a lower priority
	CauseOutranked              // another Active has a higher priority
	CauseTieBreak               // another Active has the same priority and a higher address
	CauseStalled                // was silent so long that another must have taken over
	CauseMute                   // cannot send, and another Active can
	CauseShutdown               // the agent ends
	CauseDisabled               // the interface is down or gone
	CauseUnready                // its API server is down, and it shall not hold the addresses then
	CauseWithheld               // the addresses must not be on its interface
)

var causeNames = [...]string{"startup", "resumed", "owner", "silence", "left", "unfit", "preempt", "outranked",
	"tie-break", "stalled", "mute", "shutdown", "disabled", "unready", "withheld"}

func (c Cause) String() string { return causeNames[c] }

// NewActiveReason is why a router became Active, in the words of RFC 6527
// (vrrpv3StatisticsNewMasterReason).
func (c Cause) NewActiveReason() string {
	switch c {
	case CausePreempt, CauseUnfit:
		return "preempted"
	case CauseOwner:
		return "priority"
	case CauseSilence, CauseLeft:
		return "no-response"
	}
	return "not-master"
}
