package bgp

import (
	"context"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// pair is two machines, and what is under way between them.
type pair struct {
	a, b bfdMachine
	now  time.Time
}

func newPair() *pair {
	return &pair{
		a:   bfdMachine{Interval: 100 * time.Millisecond, My: 1, State: bfdDown, mult: bfdMult},
		b:   bfdMachine{Interval: 300 * time.Millisecond, My: 2, State: bfdDown, mult: bfdMult},
		now: time.Unix(1790000000, 0),
	}
}

// exchange has each send a packet to the other, and answer polls.
func (p *pair) exchange(t *testing.T) {
	t.Helper()
	say := func(from, to *bfdMachine, final bool) {
		q, ok := parseBFD(from.packet(final).marshal())
		if !ok {
			t.Fatalf("not a packet: %+v", from.packet(final))
		}
		if answer, _ := to.receive(q, p.now); answer {
			r, _ := parseBFD(to.packet(true).marshal())
			from.receive(r, p.now)
		}
	}
	say(&p.a, &p.b, false)
	say(&p.b, &p.a, false)
}

func TestBFDComesUp(t *testing.T) {
	p := newPair()
	for range 3 {
		p.exchange(t)
	}
	if p.a.State != bfdUp || p.b.State != bfdUp || p.a.polling || p.b.polling {
		t.Fatalf("%+v\n%+v", p.a, p.b)
	}
	if i, d := p.a.interval(), p.a.detection(); i != 300*time.Millisecond || d != 900*time.Millisecond {
		t.Errorf("it sends each %v and waits for %v", i, d)
	}
	if p.a.expire(p.now.Add(899 * time.Millisecond)) {
		t.Error("it was too hasty")
	}
	if !p.a.expire(p.now.Add(900*time.Millisecond)) || p.a.State != bfdDown || p.a.interval() != bfdSlow {
		t.Errorf("it did not notice: %+v", p.a)
	}
	// The other is told, and both are back.
	q, _ := parseBFD(p.a.packet(false).marshal())
	q.Your = p.b.My
	if _, down := p.b.receive(q, p.now); !down || p.b.State != bfdDown {
		t.Errorf("the other: %+v", p.b)
	}
	for range 4 {
		p.exchange(t)
	}
	if p.a.State != bfdUp || p.b.State != bfdUp {
		t.Fatalf("%+v\n%+v", p.a, p.b)
	}
}

// FuzzBFD feeds a machine with any packets, and wants it to send and wait reasonably.
func FuzzBFD(f *testing.F) {
	f.Add(bfdPacket{State: bfdDown, Mult: 3, My: 7, MinTx: time.Second, MinRx: time.Second}.marshal())
	f.Add(bfdPacket{State: bfdUp, Mult: 3, My: 7, Your: 1, MinTx: time.Second, MinRx: time.Second, Poll: true}.marshal())
	f.Fuzz(func(t *testing.T, b []byte) {
		m := newPair().a
		now := time.Unix(1790000000, 0)
		for ; len(b) >= bfdLen; b = b[bfdLen:] {
			if p, ok := parseBFD(b[:bfdLen]); ok {
				m.receive(p, now)
			}
			if m.State > bfdUp || m.interval() < m.Interval || m.detection() < m.Interval {
				t.Fatalf("%+v", m)
			}
		}
	})
}

// TestBFDAdminDown: an operator who turns BFD off does not have the BGP session end.
func TestBFDAdminDown(t *testing.T) {
	p := newPair()
	for range 3 {
		p.exchange(t)
	}
	q := bfdPacket{State: bfdAdminDown, Mult: 3, My: 1, Your: 2}
	if _, down := p.b.receive(q, p.now); down || p.b.State != bfdDown {
		t.Errorf("down %v, %+v", down, p.b)
	}
	if p.b.expire(p.now.Add(time.Hour)) {
		t.Error("nothing is due, and was missed")
	}
}

// TestBFDLastWord: a router is told of a failure as such, and of anything else as no failure.
func TestBFDLastWord(t *testing.T) {
	for state, want := range map[uint8]bfdPacket{
		bfdUp:   {State: bfdAdminDown, Diag: 7},
		bfdDown: {State: bfdDown, Diag: 1}, // it was noticed
	} {
		here, there := net.Pipe()
		s := &bfdSession{hub: NewBFD(), out: here, cancel: func() {}}
		s.machine = bfdMachine{Interval: time.Second, My: 1, Your: 2, State: state, mult: bfdMult}
		if state == bfdDown {
			s.machine.diag = 1
		}
		go s.bid()
		b := make([]byte, bfdLen)
		if _, err := io.ReadFull(there, b); err != nil {
			t.Fatal(err)
		}
		if got, ok := parseBFD(b); !ok || got.State != want.State || got.Diag != want.Diag {
			t.Errorf("in state %d: %+v, %v", state, got, ok)
		}
	}
}

// TestBFDAfterStall: when this host stood still, what has come meanwhile is read before the
// router is given up.
func TestBFDAfterStall(t *testing.T) {
	for name, alive := range map[string]bool{"it was there all the time": true, "it is gone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				here, there := net.Pipe()
				ctx, cancel := context.WithCancel(t.Context())
				s := &bfdSession{hub: NewBFD(), out: here, in: make(chan bfdPacket, 4), down: make(chan struct{}), cancel: cancel}
				s.machine = bfdMachine{Interval: 100 * time.Millisecond, My: 1, Your: 2, State: bfdUp, mult: bfdMult, minTx: 100 * time.Millisecond, heard: time.Now()}
				s.ended.Go(func() { s.run(ctx) })
				b := make([]byte, bfdLen)
				if _, err := io.ReadFull(there, b); err != nil {
					t.Fatal(err)
				}
				s.in <- bfdPacket{State: bfdUp, Mult: 3, My: 2, Your: 1, MinTx: 100 * time.Millisecond, Poll: true}
				time.Sleep(2 * time.Second) // it stands, for nobody takes its answer
				go io.Copy(io.Discard, there)
				time.Sleep(time.Millisecond)
				if alive {
					s.in <- bfdPacket{State: bfdUp, Mult: 3, My: 2, Your: 1, MinTx: 100 * time.Millisecond}
				}
				time.Sleep(200 * time.Millisecond)
				select {
				case <-s.down:
					if alive {
						t.Error("it was given up")
					}
				default:
					if !alive {
						t.Error("nobody noticed")
					}
				}
				s.leave()
				there.Close()
			})
		})
	}
}

func TestBFDRefuses(t *testing.T) {
	good := bfdPacket{State: bfdUp, Mult: 3, My: 1, Your: 2}.marshal()
	if _, ok := parseBFD(good); !ok {
		t.Fatal("a good packet was refused")
	}
	for name, spoil := range map[string]func([]byte) []byte{
		"short":          func(b []byte) []byte { return b[:23] },
		"version":        func(b []byte) []byte { b[0] = 2 << 5; return b },
		"no multiplier":  func(b []byte) []byte { b[2] = 0; return b },
		"length":         func(b []byte) []byte { b[3] = 200; return b },
		"authentication": func(b []byte) []byte { b[1] |= 4; return b },
		"no sender":      func(b []byte) []byte { clear(b[4:8]); return b },
		"up, to nobody":  func(b []byte) []byte { clear(b[8:12]); return b },
	} {
		if _, ok := parseBFD(spoil(append([]byte(nil), good...))); ok {
			t.Errorf("%s: accepted", name)
		}
	}
	p := newPair()
	for range 3 {
		p.exchange(t)
	}
	before := p.a
	if p.a.receive(bfdPacket{State: bfdDown, Mult: 3, My: 2, Your: 99}, p.now); p.a != before {
		t.Error("a packet for another session counted")
	}
}
