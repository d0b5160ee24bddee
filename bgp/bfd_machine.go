package bgp

import "time"

// bfdMult is how many packets may be missed.
const bfdMult = 3

// bfdSlow is the interval while the session is not up (RFC 5880, section 6.8.3).
const bfdSlow = time.Second

// bfdMachine is one BFD session in asynchronous mode, without sockets and a clock.
type bfdMachine struct {
	Interval time.Duration // wanted, in both directions
	My, Your uint32
	State    uint8

	diag    uint8
	polling bool // the other is asked to confirm the interval
	minRx   time.Duration
	minTx   time.Duration
	mult    uint8
	heard   time.Time
}

// receive takes a packet, and returns whether to answer at once, and whether the session
// went down.
func (m *bfdMachine) receive(p bfdPacket, now time.Time) (answer, down bool) {
	if p.Your != 0 && p.Your != m.My {
		return false, false
	}
	m.Your, m.minRx, m.minTx, m.mult, m.heard = p.My, p.MinRx, p.MinTx, p.Mult, now
	if p.Final {
		m.polling = false
	}
	was := m.State
	switch {
	case p.State == bfdAdminDown, p.State == bfdDown && was == bfdUp:
		m.State, m.diag = bfdDown, 3 // the neighbour says so
	case p.State == bfdDown:
		m.State = bfdInit
	case p.State == bfdInit, p.State == bfdUp && was == bfdInit:
		m.State, m.diag = bfdUp, 0
	}
	if m.State == bfdUp && was != bfdUp {
		m.polling = true // from the slow interval to the wanted one
	}
	// An operator's word is no failure of the path (RFC 5882, section 3.2).
	return p.Poll, was == bfdUp && m.State != bfdUp && p.State != bfdAdminDown
}

// expire reports whether the session went down because nothing was heard.
func (m *bfdMachine) expire(now time.Time) bool {
	if m.State < bfdInit || now.Before(m.heard.Add(m.detection())) {
		return false
	}
	was := m.State
	m.State, m.diag, m.Your, m.polling = bfdDown, 1, 0, false
	return was == bfdUp
}

// detection is how long nothing may be heard.
func (m *bfdMachine) detection() time.Duration {
	return time.Duration(m.mult) * max(m.wanted(), m.minTx)
}

// wanted is the interval that this end asks for.
func (m *bfdMachine) wanted() time.Duration {
	if m.State == bfdUp {
		return m.Interval
	}
	return max(m.Interval, bfdSlow)
}

// interval is that at which to send.
func (m *bfdMachine) interval() time.Duration { return max(m.wanted(), m.minRx) }

func (m *bfdMachine) packet(final bool) bfdPacket {
	return bfdPacket{Diag: m.diag, State: m.State, Mult: bfdMult, Poll: m.polling && !final, Final: final, My: m.My, Your: m.Your, MinTx: m.wanted(), MinRx: m.Interval}
}
