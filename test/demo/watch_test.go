package main

import (
	"net/netip"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/vishvananda/netlink"

	"github.com/vipd/vipd/test/lab"
)

func TestWatchTellsWhatKernelsTell(t *testing.T) {
	l := lab.NewTest(t)
	var nodes []*lab.Node
	for _, name := range []string{"a", "b"} {
		n, err := l.Add(name)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	seen := make(chan sighting, 16)
	vip := netip.MustParsePrefix("198.51.100.100/32")
	w, err := newWatch(nodes, vip.Addr(), func(s sighting) { seen <- s })
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	a, b := nodes[0], nodes[1]
	steps := []struct {
		name    string
		do      func(t *testing.T)
		want    sighting
		holders []string
	}{
		// Another address and a renewal are no news: the next sighting is the one that counts.
		{"comes", func(t *testing.T) {
			put(t, a, "198.51.100.7/24", 0)
			put(t, a, vip.String(), 60)
			put(t, a, vip.String(), 90)
		}, sighting{node: "a", there: true}, []string{"a"}},
		{"comes to another", func(t *testing.T) { put(t, b, vip.String(), 60) }, sighting{node: "b", there: true}, []string{"a", "b"}},
		{"leaves", func(t *testing.T) { remove(t, a, vip.String()) }, sighting{node: "a"}, []string{"b"}},
	}
	for _, s := range steps {
		s.do(t)
		select {
		case got := <-seen:
			if diff := cmp.Diff(s.want, got, sightings()); diff != "" {
				t.Errorf("%s (-want +got):\n%s", s.name, diff)
			}
		case <-time.After(5 * time.Second):
			t.Fatalf("%s: no word from the kernel", s.name)
		}
		holders, err := w.holders()
		if diff := cmp.Diff(s.holders, holders); diff != "" || err != nil {
			t.Errorf("%s: holders (-want +got):\n%s%v", s.name, diff, err)
		}
	}
	if diff := cmp.Diff([]sighting{{node: "a", there: true}, {node: "b", there: true}}, w.way(), sightings()); diff != "" {
		t.Errorf("way (-want +got):\n%s", diff)
	}
	if w.begin(); len(w.way()) > 0 {
		t.Errorf("way after begin: %v", w.way())
	}
}

// sightings compares them without their times.
func sightings() cmp.Option {
	return cmp.Options{cmp.AllowUnexported(sighting{}), cmpopts.IgnoreFields(sighting{}, "after")}
}

func put(t *testing.T, n *lab.Node, addr string, lifetime int) {
	t.Helper()
	link, a := on(t, n, addr)
	a.ValidLft, a.PreferedLft = lifetime, lifetime
	if err := n.Netlink().AddrReplace(link, a); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, n *lab.Node, addr string) {
	t.Helper()
	link, a := on(t, n, addr)
	if err := n.Netlink().AddrDel(link, a); err != nil {
		t.Fatal(err)
	}
}

func on(t *testing.T, n *lab.Node, addr string) (netlink.Link, *netlink.Addr) {
	t.Helper()
	link, err := n.Netlink().LinkByName(lab.Interface)
	if err != nil {
		t.Fatal(err)
	}
	a, err := netlink.ParseAddr(addr)
	if err != nil {
		t.Fatal(err)
	}
	return link, a
}
