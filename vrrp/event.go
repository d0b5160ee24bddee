package vrrp

import "time"

// Event is something that happened to a virtual router. Make one with the
// functions below.
type Event struct {
	kind   eventKind
	advert Advert
	grade  Grade
	flag   bool
	hold   time.Duration
	began  Instant
	config *Config
}

type eventKind uint8

const (
	evTick eventKind = iota
	evStartup
	evResume
	evShutdown
	evDisable
	evReceived
	evVerdict
	evObserved
	evDemote
	evBar
	evPermit
	evWithdraw
	evSuccessor
	evAddressLost
	evContested
	evSent
	evSendFailed
	evConfigure
)

var eventNames = [...]string{"tick", "startup", "resume", "shutdown", "disable", "received", "verdict", "observed",
	"demote", "bar", "permit", "withdraw", "successor", "address-lost", "contested", "sent", "send-failed", "configure"}

func (e Event) String() string { return eventNames[e.kind] }

// Tick says that the machine's deadline has passed. Step what has been received
// first. A tick without an expired deadline does nothing.
func Tick() Event { return Event{kind: evTick} }

// Startup leaves Initialize: sockets are open and the interface is up.
func Startup() Event { return Event{kind: evStartup} }

// Resume starts as Active, for an agent that was restarted while it held the
// addresses and whose peers have not missed it yet.
func Resume() Event { return Event{kind: evResume} }

// Shutdown begins to leave; [Stopped] tells of the end.
func Shutdown() Event { return Event{kind: evShutdown} }

// Disable goes to Initialize at once, without a word to the peers: the interface
// is down or gone. [Startup] undoes it.
func Disable() Event { return Event{kind: evDisable} }

// Received hands in an accepted advertisement.
func Received(a Advert) Event { return Event{kind: evReceived, advert: a} }

// Verdict says how fit the local API server is, and for how long it must have
// been ready before this node may preempt.
func Verdict(g Grade, hold time.Duration) Event {
	return Event{kind: evVerdict, grade: g, hold: hold}
}

// Observed says what a single probe that began at the given instant saw. It is
// the evidence that a node is fit now, for a takeover from a worse one.
func Observed(g Grade, began Instant) Event {
	return Event{kind: evObserved, grade: g, began: began}
}

// Demote ranks the node as down whatever its verdict, without making it leave:
// drained by the operator, or unable to hold the addresses.
func Demote(on bool) Event { return Event{kind: evDemote, flag: on} }

// Bar keeps the node from becoming Active; if it is, it stays so.
func Bar(on bool) Event { return Event{kind: evBar, flag: on} }

// Permit says whether the addresses may be on the interface. While they may not,
// this node listens but is not Active; if it was, a successor gets a moment first.
func Permit(on bool) Event { return Event{kind: evPermit, flag: on} }

// Withdraw cuts that moment short: the addresses must not be on the interface now.
// It does nothing while they are permitted.
func Withdraw() Event { return Event{kind: evWithdraw} }

// SuccessorAnnounced says that another node announced one of the addresses.
func SuccessorAnnounced() Event { return Event{kind: evSuccessor} }

// AddressLost says that something else took an address off the interface.
func AddressLost() Event { return Event{kind: evAddressLost} }

// Contested says that another station claims one of the addresses of this Active.
func Contested() Event { return Event{kind: evContested} }

// Sent says that an advertisement went out. Needed only if [Machine.WantsSent].
func Sent() Event { return Event{kind: evSent} }

// SendFailed says that an advertisement did not go out.
func SendFailed() Event { return Event{kind: evSendFailed} }

// Configure replaces the configuration and leaves the state alone.
func Configure(c Config) Event { return Event{kind: evConfigure, config: &c} }
