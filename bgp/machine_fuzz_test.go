package bgp

import (
	"testing"
	"time"

	"github.com/vipd/vipd/vrrp"
)

// FuzzMachine plays events in any order, and wants what must always hold.
func FuzzMachine(f *testing.F) {
	f.Add([]byte{0, 0, 1, 5, 9, 7, 3, 9, 2, 9, 9, 8, 9})
	f.Add([]byte{1, 0, 4, 1, 12, 9, 6, 9, 11, 9, 0, 1, 9, 10, 9})
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) == 0 {
			return
		}
		w := &witness{t: t, Machine: NewMachine(Plan{
			ReleaseOnDown: script[0]&1 != 0, Drain: time.Duration(script[0]&6) * time.Second, Linger: time.Duration(script[0]&8) * 100 * time.Millisecond,
			HasBeenReady: script[0]&16 != 0,
		})}
		for _, b := range script[1:] {
			w.event(b)
		}
		// It ends, whatever came before.
		w.see(w.Shutdown(w.now))
		for range 100 {
			if w.ended {
				return
			}
			w.pass()
		}
		t.Fatal("it does not end")
	})
}

// witness follows what a machine does.
type witness struct {
	*Machine
	t    *testing.T
	now  vrrp.Instant
	on   bool // the addresses are asked for
	out  Standing
	done bool
}

func (w *witness) event(b byte) {
	switch arg := b >> 4; b & 15 {
	case 0:
		w.see(w.Start(w.now))
	case 1, 2, 3:
		w.see(w.Verdict(w.now, vrrp.Grade(b&15), time.Duration(arg)*time.Second))
	case 4:
		w.see(w.Demote(w.now, arg&1 != 0))
	case 5:
		w.see(w.Permit(w.now, arg&1 != 0))
	case 6:
		w.see(w.LetGo(w.now))
	case 7:
		w.see(w.Claimed(w.now, arg != 0))
	case 8:
		w.see(w.Lost(w.now))
	case 9, 10, 11:
		w.pass()
	case 12:
		w.see(w.Disable(w.now))
	case 13:
		w.now = w.now.Add(time.Duration(arg) * 300 * time.Millisecond)
		w.see(w.Tick(w.now))
	}
}

// pass lets time go by until the machine has something to do.
func (w *witness) pass() {
	at := w.Deadline()
	if at == vrrp.Never {
		return
	}
	w.now = max(w.now, at)
	w.see(w.Tick(w.now))
}

func (w *witness) see(effects []Effect) {
	for _, e := range effects {
		if w.done {
			w.t.Fatalf("%v after the end", e.Kind)
		}
		switch e.Kind {
		case Claim:
			w.on = true
		case Release:
			if w.out != None || !w.on {
				w.t.Fatalf("released while announced as %v, asked for: %v", w.out, w.on)
			}
			w.on = false
		case Announce:
			if !w.serving || !w.hasReady || !w.permitted {
				w.t.Fatalf("announced as %v, serving %v, ready once %v, permitted %v", e.Standing, w.serving, w.hasReady, w.permitted)
			}
			if e.Standing > Leaving && (w.demoted || w.stopping) {
				w.t.Fatalf("announced as %v while it leaves", e.Standing)
			}
			if e.Standing == w.out {
				w.t.Fatalf("announced as %v again", e.Standing)
			}
			w.out = e.Standing
		case Withdraw:
			if w.out == None {
				w.t.Fatal("withdrawn twice")
			}
			w.out = None
		case Stopped:
			w.done = true
		}
	}
	if w.out != w.Standing() || w.on != w.Holding() {
		w.t.Fatalf("it says %v, holding %v; it did %v, %v", w.Standing(), w.Holding(), w.out, w.on)
	}
	if w.out != None && !w.serving {
		w.t.Fatal("announced, and not on the host")
	}
	// Its loop is a real-time one: a deadline that has passed would keep it running.
	if w.Deadline() <= w.now {
		w.t.Fatalf("at %v it is due at %v", w.now, w.Deadline())
	}
}
