package lab

import (
	"errors"
	"net/netip"
	"sync"
	"testing"
	"time"
)

// An interface that goes takes its addresses with it, and its successor may have them.
func TestWatchDetachAttach(t *testing.T) {
	l := NewTest(t)
	addr := netip.MustParsePrefix("198.51.100.11/24")
	n, err := l.Add("node", addr)
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan Sighting, 16)
	w, err := WatchAddrs([]*Node{n}, func(s Sighting) {
		if s.Addr == addr.Addr() {
			seen <- s
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	want := func(there bool) {
		t.Helper()
		select {
		case s := <-seen:
			if s.Node != "node" || s.There != there {
				t.Errorf("saw %+v", s)
			}
		case <-time.After(5 * time.Second):
			t.Fatal("no word from the kernel")
		}
	}
	want(true) // it was there before
	if err := l.Detach(n); err != nil {
		t.Fatal(err)
	}
	want(false)
	if err := l.Attach(n, addr); err != nil {
		t.Fatal(err)
	}
	want(true)
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

// Who is told may ask whether the watch still works, and so may who keeps the other waiting.
func TestWatchErrWhileTelling(t *testing.T) {
	l := NewTest(t)
	n, err := l.Add("node", netip.MustParsePrefix("198.51.100.11/24"))
	if err != nil {
		t.Fatal(err)
	}
	telling, answered := make(chan struct{}), make(chan struct{})
	var once sync.Once
	w, err := WatchAddrs([]*Node{n}, func(Sighting) {
		once.Do(func() {
			close(telling)
			<-answered
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	<-telling
	asked := make(chan error, 1)
	go func() { asked <- w.Err() }()
	select {
	case err = <-asked:
	case <-time.After(5 * time.Second):
		err = errors.New("Err waits for the end of a report")
	}
	close(answered)
	if err := errors.Join(err, w.Close()); err != nil {
		t.Error(err)
	}
}
