package lab

import (
	"net/netip"
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
