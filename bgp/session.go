package bgp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/vrrp"
)

const (
	// dialTime bounds an attempt to connect, openTime the wait for the router's OPEN.
	dialTime = 3 * time.Second
	openTime = 10 * time.Second
	// lookAgain is how often a session looks for routes whose lease has run out.
	lookAgain = 250 * time.Millisecond
	// resumeGrace is how long a successor leaves routes as they are which it has not heard of.
	resumeGrace = time.Second
	// writeTime bounds a write: a router that does not read for so long is gone.
	writeTime = time.Second
	// refreshLeast is the time from one answer to a router that wants all routes again to the next.
	refreshLeast = time.Second
	// retryMost bounds what the wait for the next attempt grows to.
	retryMost = 30 * time.Second
	// settling is what a router is given between two sessions: at once, it refuses the second,
	// which costs the wait for the next attempt.
	settling = 100 * time.Millisecond
	// lasting is how long a session is up that does not flap.
	lasting = time.Minute
)

// States of a session (RFC 4271, section 8.2.2), as far as they last.
const (
	Idle        = "Idle"
	Connect     = "Connect"
	OpenSent    = "OpenSent"
	OpenConfirm = "OpenConfirm"
	Established = "Established"
)

// Status is how a session fares.
type Status struct {
	Peer     netip.Addr
	AS       uint32
	State    string
	Since    time.Time
	Local    netip.Addr // this end of the connection
	RouterID netip.Addr // the other's
	Hold     time.Duration
	Families []vrrp.Family // agreed on
	Routes   int           // announced
	BFD      string        // up, down; "": none
	Problem  string        // why the session is not up, or what is wrong with it
	Counters Counters
}

// Counters count over all connections of a session.
type Counters struct {
	Established, Dropped                 uint64           // how often the session came up, and went down
	Failed                               [failures]uint64 // attempts to bring it up, by what they failed for
	Sent, Received                       uint64           // messages
	UpdatesSent, UpdatesReceived         uint64
	Malformed                            uint64 // updates received
	NotificationsSent, NotificationsRcvd uint64
}

// session is that with one router. Its goroutine connects again and again.
type session struct {
	speaker *Speaker
	cfg     Config          // whose AS and router id are its own
	kick    chan struct{}   // the routes have changed
	leaving chan struct{}   // closed when it is to end as soon as the traffic has moved
	ending  chan struct{}   // closed when it is to end
	done    chan struct{}   // closed when it has ended
	after   <-chan struct{} // of the session that it replaces: a router takes no second one

	mu    sync.Mutex
	peer  Peer
	state Status
	word  *Error // to be sent at the end; nil: suspend
	ended bool
	said  string           // the last that was reported
	told  string           // why the router ended the session, in its operator's words; "": it is up since, or there were none
	wrong [troubles]string // with a session that is up
	short int              // how many connections in a row did not last
	unfit int              // how many attempts in a row ended with a notification

	lingers time.Duration // how long it goes on while it leaves; 0: it does not leave

	// Owned by run; kept may be read after it.
	kept *Kept
}

func newSession(s *Speaker, p Peer) *session {
	return &session{
		speaker: s, cfg: s.cfg, peer: p, kick: make(chan struct{}, 1),
		leaving: make(chan struct{}), ending: make(chan struct{}), done: make(chan struct{}),
		state: Status{Peer: p.Address, AS: p.AS, State: Idle, Since: time.Now()},
	}
}

// goesOn reports whether the session may go on as one with p.
func (x *session) goesOn(p *Peer) bool {
	cfg := x.config()
	return cfg.sameSession(p)
}

func (x *session) config() Peer {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.peer
}

func (x *session) configure(p Peer) {
	x.mu.Lock()
	x.peer = p
	x.mu.Unlock()
	x.wake()
}

func (x *session) wake() {
	select {
	case x.kick <- struct{}{}:
	default:
	}
}

// stop ends the session with a word to the router.
func (x *session) stop(word *Error) { x.finish(word) }

// leave ends the session with a word to the router, after the time in which traffic moves away
// from routes that are announced as leaving.
func (x *session) leave(after time.Duration, word *Error) {
	x.mu.Lock()
	up := x.state.State == Established && !x.ended && x.lingers == 0
	if up && after > 0 {
		x.lingers, x.word = after, word
		close(x.leaving)
	}
	x.mu.Unlock()
	if !up || after == 0 {
		x.stop(word)
	}
}

// suspend ends the session without one.
func (x *session) suspend() { x.finish(nil) }

func (x *session) finish(word *Error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !x.ended {
		x.ended, x.word = true, word
		close(x.ending)
	}
}

func (x *session) status() Status {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.state
	for _, words := range x.wrong {
		if words != "" && s.Problem != "" {
			s.Problem += "; "
		}
		s.Problem += words
	}
	if x.told != "" && x.told != s.Problem {
		s.Problem += "; before that: " + x.told
	}
	return s
}

func (x *session) note(f func(*Status)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(&x.state)
}

func (x *session) enter(state string) {
	x.note(func(s *Status) {
		if s.State != state {
			s.State, s.Since = state, time.Now()
		}
	})
}

// trouble is something that may be wrong with a session that is up.
type trouble int

// The troubles.
const (
	noHop4 trouble = iota
	noHop6
	malformed
	noBFD
	troubles // how many there are
)

// suffers notes a trouble, and reports one that is new; "": it is over.
func (x *session) suffers(what trouble, words string) {
	x.mu.Lock()
	was := x.wrong[what]
	x.wrong[what] = words
	x.mu.Unlock()
	if words != "" && words != was {
		x.speaker.report(Event{Peer: x.state.Peer, Words: x.speaks() + ": " + words})
	}
}

// errEnding says that the session was told to end.
var errEnding = errors.New("ending")

// run connects until it is told to end.
func (x *session) run(ctx context.Context) {
	x.await(ctx)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() { // what waits for the network waits no longer
		select {
		case <-x.ending:
			cancel()
		case <-ctx.Done():
		}
	}()
	for ctx.Err() == nil && !x.isEnding() {
		err := x.once(ctx)
		if errors.Is(err, errEnding) || ctx.Err() != nil || x.leaves() {
			break
		}
		select {
		case <-time.After(x.failed(err)):
		case <-ctx.Done():
		}
	}
	x.enter(Idle)
}

// await waits for the session that this one replaces, also if it is to end itself: the next
// one waits for both.
func (x *session) await(ctx context.Context) {
	if x.after == nil {
		return
	}
	select {
	case <-x.after:
	case <-ctx.Done():
		return
	}
	select {
	case <-time.After(settling):
	case <-x.ending:
	case <-ctx.Done():
	}
}

// leaves reports whether the session ends with its connection.
func (x *session) leaves() bool { return closed(x.leaving) }

func (x *session) isEnding() bool { return closed(x.ending) }

// over reports whether the session has ended.
func (x *session) over() bool { return closed(x.done) }

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// once is one connection, from its beginning to its end.
func (x *session) once(ctx context.Context) error {
	if k := x.kept; k != nil {
		x.kept = nil
		if t, err := k.adopt(x); err == nil {
			return t.established(k)
		}
	}
	p := x.config()
	x.enter(Connect)
	conn, err := x.dial(ctx, p)
	if err != nil {
		return err
	}
	t := newTalk(x, p, conn)
	if err := t.open(); err != nil {
		return t.end(err)
	}
	return t.established(nil)
}

// dial connects to a peer, from what its interface has for an address now.
func (x *session) dial(ctx context.Context, p Peer) (net.Conn, error) {
	if p.Interface != "" {
		a, err := AddressOn(p.Interface, p.Address, x.speaker.avoided())
		if err != nil {
			return nil, &explained{err.Error(), unix.EADDRNOTAVAIL}
		}
		p.Source = a
	}
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	conn, err := x.speaker.dial(ctx, &p)
	if err != nil {
		return nil, explainDial(&p, err)
	}
	return conn, nil
}

// disagrees reports whether the two ends got to speak and do not get along. One that is
// silent may still be starting.
func disagrees(err error) bool {
	var ours *Error
	var theirs *received
	return errors.As(err, &ours) && ours.Code != codeHold || errors.As(err, &theirs)
}

// longer doubles the wait for the next attempt with each failure.
func longer(retry time.Duration, failures int) time.Duration {
	return min(retry<<min(max(failures, 0), 5), max(retry, retryMost))
}

// failed notes why the session is not up, reports what is new, and returns how long to
// wait for the next attempt: longer each time for a session that does not last.
func (x *session) failed(err error) time.Duration {
	words := fmt.Sprintf("%s: %v", x.speaks(), err)
	x.mu.Lock()
	x.wrong = [troubles]string{}
	up := x.state.State == Established
	x.state.BFD, x.state.Problem, x.state.Routes, x.state.Local, x.state.RouterID, x.state.Hold = "", err.Error(), 0, netip.Addr{}, netip.Addr{}, 0
	x.state.Families = nil
	if up {
		x.state.Counters.Dropped++
		if time.Since(x.state.Since) > lasting {
			x.short = 0
		}
		x.short++
		x.unfit = 0
	} else {
		x.state.Counters.Failed[failureOf(err)]++
		x.unfit++
		if !disagrees(err) {
			x.unfit = 0 // it may be starting anew, mended
		}
	}
	var theirs *received
	if errors.As(err, &theirs) && theirs.why.text() != "" {
		x.told = err.Error()
	}
	retry := longer(x.peer.Retry, max(x.short, x.unfit)-1)
	repeat := words == x.said && !up
	x.said = words
	x.mu.Unlock()
	x.enter(Idle)
	x.speaker.report(Event{Peer: x.state.Peer, Down: up, Words: words, Repeat: repeat})
	return retry
}

func (x *session) speaks() string { return x.state.Peer.String() }

// talk is one connection of a session.
type talk struct {
	*session
	p    Peer
	conn net.Conn

	// What was agreed on.
	hold       time.Duration
	families   []vrrp.Family
	fourOctets bool
	extended   bool
	refresh    bool

	adopted   time.Time // when it went on with what a predecessor had announced; zero: it is a new one
	asked     bool      // to announce everything again
	refreshed time.Time // when that was done last

	sent    map[netip.Addr]*announced
	noHop   map[vrrp.Family]string // why routes of a family are not announced
	inbox   chan message
	bfd     *bfdSession // nil: none
	rest    []byte      // read, but not a whole message yet
	reading sync.WaitGroup
}

// announced is a route as the router knows it.
type announced struct {
	attrs attributes
	hop   vrrp.Family
	known bool // attrs is; else it was a predecessor who announced it
}

type message struct {
	kind      uint8
	body      []byte // but for updates
	malformed bool   // update
	err       error
}

func newTalk(x *session, p Peer, conn net.Conn) *talk {
	t := &talk{session: x, p: p, conn: conn, sent: make(map[netip.Addr]*announced), noHop: make(map[vrrp.Family]string), inbox: make(chan message, 16)}
	return t
}

// listen begins to read.
func (t *talk) listen() {
	t.reading.Go(func() {
		defer close(t.inbox)
		var pace pacer
		buf := make([]byte, 2*maxMessage)
		n := copy(buf, t.rest)
		for {
			b := buf[:n]
			for {
				kind, body, rest, err := split(b)
				if errors.Is(err, errMore) {
					break
				}
				if err != nil {
					t.deliver(message{err: err})
					return
				}
				pace.wait()
				t.deliver(messageOf(kind, body))
				b = rest
			}
			n = copy(buf, b)
			t.rest = buf[:n] // the reader's until it has ended
			more, err := t.conn.Read(buf[n:])
			if err != nil {
				t.deliver(message{err: explainRead(err)})
				return
			}
			n += more
		}
	})
}

// pacer bounds how fast messages are read: the process is a real-time one, and a router
// that sends all it can must not have the processor. TCP makes it wait.
type pacer struct {
	began time.Time
	count int
}

// A whole Internet table, some 200,000 updates, takes ten seconds.
const (
	paceTime = 20 * time.Millisecond
	paceMost = 400 // messages in that time
)

// wait waits until one more message may be read.
func (p *pacer) wait() {
	if p.count++; p.count <= paceMost {
		return
	}
	time.Sleep(paceTime - min(time.Since(p.began), paceTime))
	p.began, p.count = time.Now(), 1
}

// messageOf keeps of a message what is of use. Updates may come by the million.
func messageOf(kind uint8, body []byte) message {
	if kind == typeUpdate {
		return message{kind: kind, malformed: skim(body) != nil}
	}
	return message{kind: kind, body: slices.Clone(body)}
}

// deliver hands a message to the loop. The loop drains what it does not read any more.
func (t *talk) deliver(m message) { t.inbox <- m }

// hush ends the reader and returns the messages that it had read.
func (t *talk) hush() []message {
	_ = t.conn.SetReadDeadline(time.Unix(1, 0)) // the connection may be closed
	var left []message
	for m := range t.inbox {
		if m.err == nil {
			left = append(left, m)
		}
	}
	t.reading.Wait()
	return left
}

func (t *talk) write(b []byte) error {
	if err := t.conn.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return fmt.Errorf("write to it: %w", err)
	}
	if _, err := t.conn.Write(b); err != nil {
		return fmt.Errorf("write to it: %w", err)
	}
	t.note(func(s *Status) {
		s.Counters.Sent++
		switch b[18] {
		case typeUpdate:
			s.Counters.UpdatesSent++
		case typeNotification:
			s.Counters.NotificationsSent++
		}
	})
	return nil
}

// open exchanges OPEN messages and agrees on the terms.
func (t *talk) open() error {
	mine := open{
		AS: t.cfg.AS, Hold: t.p.Hold, ID: t.cfg.ID, Families: t.p.Families, FourOctets: true,
		ExtendedNextHop: t.p.ExtendedNextHop, Refresh: true,
	}
	t.listen()
	if err := t.write(mine.marshal()); err != nil {
		return err
	}
	t.enter(OpenSent)
	body, err := t.expect(typeOpen, openTime)
	if err != nil {
		return err
	}
	theirs, err := parseOpen(body)
	if err != nil {
		return err
	}
	if err := t.agree(mine, theirs); err != nil {
		return err
	}
	if err := t.write(keepalive()); err != nil {
		return err
	}
	t.enter(OpenConfirm)
	_, err = t.expect(typeKeepalive, openTime)
	return err
}

func (t *talk) agree(mine, theirs open) error {
	if theirs.AS != t.p.AS {
		return &Error{Code: codeOpen, Subcode: 2, Words: fmt.Sprintf("it says that it is AS %d, and vipd.toml says %d: correct \"as\" of this peer", theirs.AS, t.p.AS)}
	}
	if theirs.ID == mine.ID && theirs.AS == mine.AS {
		return &Error{Code: codeOpen, Subcode: 3, Words: fmt.Sprintf("it has the router id %v of this node: set router_id", mine.ID)}
	}
	for _, f := range mine.Families {
		if slices.Contains(theirs.Families, f) {
			t.families = append(t.families, f)
		}
	}
	if len(t.families) == 0 {
		return &Error{Code: codeOpen, Subcode: 7, Words: "it takes none of the address families: check families here and there"}
	}
	if theirs.Hold == 0 {
		return &Error{Code: codeOpen, Subcode: 6, Words: "its hold time is 0, with which it would never notice that this node is gone: set one there, such as 3 seconds"}
	}
	t.hold = min(mine.Hold, theirs.Hold)
	t.fourOctets, t.refresh = theirs.FourOctets, theirs.Refresh
	t.extended = mine.ExtendedNextHop && theirs.ExtendedNextHop
	t.note(func(s *Status) { s.RouterID, s.Hold, s.Local = theirs.ID, t.hold, t.local() })
	return nil
}

// expect waits for a message of a kind. Only a notification may come instead.
func (t *talk) expect(kind uint8, limit time.Duration) ([]byte, error) {
	late := time.NewTimer(limit)
	defer late.Stop()
	select {
	case m := <-t.inbox:
		t.count(m)
		switch {
		case m.err != nil:
			return nil, m.err
		case m.kind == kind:
			return m.body, nil
		case m.kind == typeNotification:
			return nil, &received{parseNotification(m.body)}
		}
		return nil, &Error{Code: codeFSM, Words: fmt.Sprintf("it sent a message of type %d out of turn", m.kind)}
	case <-late.C:
		return nil, &Error{Code: codeHold, Words: "it accepted the connection, but does not answer: is this node configured there?"}
	case <-t.ending:
		return nil, errEnding
	}
}

// received is a notification of the router's: it is not answered.
type received struct{ why *Error }

func (r *received) Error() string { return r.why.Error() }

// end ends the connection, with a notification where there is something to say.
func (t *talk) end(err error) error {
	var word *Error
	var theirs *received
	switch {
	case errors.As(err, &theirs):
	case errors.Is(err, errEnding):
		word = t.lastWord()
	case errors.As(err, &word):
	}
	if word != nil && word.Code != 0 {
		_ = t.write(word.marshal()) // it is over either way
	}
	if t.bfd != nil {
		t.bfd.bid()
	}
	_ = t.conn.Close()
	t.hush()
	return err
}

func (t *talk) lastWord() *Error {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.word
}

func (t *talk) local() netip.Addr { return addrOf(t.conn.LocalAddr()) }

func addrOf(a net.Addr) netip.Addr {
	if t, ok := a.(*net.TCPAddr); ok {
		return t.AddrPort().Addr().Unmap()
	}
	return netip.Addr{}
}

// count counts a message that was received.
func (t *talk) count(m message) {
	t.note(func(s *Status) {
		if m.err != nil {
			return
		}
		s.Counters.Received++
		switch m.kind {
		case typeUpdate:
			s.Counters.UpdatesReceived++
		case typeNotification:
			s.Counters.NotificationsRcvd++
		}
	})
}
