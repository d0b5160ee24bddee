package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// footprint is what an agent needs while nothing happens.
type footprint struct {
	node        string
	holder      bool
	descriptors int
	sockets     int // of these
	threads     int
	rss, anon   int // KiB
}

// sighting is the footprints of all agents at a time.
type sighting []footprint

func (s sighting) String() string {
	var out []string
	for _, f := range s {
		role := "Backup"
		if f.holder {
			role = "Active"
		}
		out = append(out, fmt.Sprintf("%s %s fd %d, sockets %d, threads %d, RSS %d, anon %d KiB", f.node, role, f.descriptors, f.sockets, f.threads, f.rss, f.anon))
	}
	return strings.Join(out, "; ")
}

// look takes the footprints.
func (k *soak) look() (sighting, error) {
	all := make(sighting, len(k.Servers))
	errs := make([]error, len(k.Servers))
	var ready sync.WaitGroup
	for i, s := range k.Servers {
		holder := slices.Contains(k.ledger.Holders(k.vips()[0]), s.Name)
		ready.Go(func() {
			all[i], errs[i] = k.atRest(s)
			all[i].holder = holder
		})
	}
	ready.Wait()
	return all, errors.Join(errs...)
}

// tidy checks that no node has an address that is neither its own nor a VIP of which
// it is the holder.
func (k *soak) tidy() error {
	for _, s := range k.Servers {
		var held []netip.Addr
		for _, a := range k.vips() {
			if slices.Contains(k.ledger.Holders(a), s.Name) {
				held = append(held, a)
			}
		}
		if err := k.has(s, held); err != nil {
			return err
		}
	}
	return nil
}

// has checks that a node's interface has its own addresses and these, and no others.
func (k *soak) has(s *cluster.Server, held []netip.Addr) error {
	got, err := s.Node.Addrs()
	if err != nil {
		return err
	}
	got = slices.DeleteFunc(got, netip.Addr.IsLinkLocalUnicast)
	want := slices.Clone(held)
	for _, p := range s.Prefixes() {
		want = append(want, p.Addr())
	}
	slices.SortFunc(got, netip.Addr.Compare)
	slices.SortFunc(want, netip.Addr.Compare)
	if !slices.Equal(got, want) {
		return fmt.Errorf("%s has the addresses %v, not %v", s.Name, got, want)
	}
	return nil
}

// atRest takes an agent's footprint between its probes, each of which needs a
// descriptor for a moment: the least of what is seen in a second.
func (k *soak) atRest(s *cluster.Server) (footprint, error) {
	least, err := measure(s)
	if err != nil {
		return least, err
	}
	for range 20 {
		k.wait(50 * time.Millisecond)
		f, err := measure(s)
		if err != nil {
			return f, err
		}
		if f.descriptors < least.descriptors {
			least = f
		}
	}
	return least, nil
}

func measure(s *cluster.Server) (footprint, error) {
	f := footprint{node: s.Name}
	dir := fmt.Sprintf("/proc/%d/fd", s.AgentPID())
	open, err := os.ReadDir(dir)
	if err != nil {
		return f, fmt.Errorf("%s: list the agent's descriptors: %w", s.Name, err)
	}
	f.descriptors = len(open)
	for _, fd := range open {
		if to, _ := os.Readlink(dir + "/" + fd.Name()); strings.HasPrefix(to, "socket:") {
			f.sockets++
		}
	}
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", s.AgentPID()))
	if err != nil {
		return f, fmt.Errorf("%s: list the agent's threads: %w", s.Name, err)
	}
	f.threads = len(tasks)
	if f.rss, err = s.AgentMemory("VmRSS"); err != nil {
		return f, err
	}
	f.anon, err = s.AgentMemory("RssAnon")
	return f, err
}

// figure is one of the numbers of a footprint.
type figure struct {
	name string
	of   func(footprint) int
	// most is what the last median may be, after the first values in rising order.
	most func([]int) int
}

func figures(threads int, race bool) []figure {
	// The median of what is counted wavers by one or two, with the phase of the probes.
	seen := func(first []int) int { return first[len(first)-1] }
	// A thread that was needed once, when many goroutines were in the kernel, stays.
	ever := func(first []int) int { return max(threads, seen(first)) }
	flat := func(first []int) int { return middle(first)*105/100 + 1024 }
	all := []figure{
		{"descriptors", func(f footprint) int { return f.descriptors }, seen},
		{"sockets", func(f footprint) int { return f.sockets }, seen},
		{"threads", func(f footprint) int { return f.threads }, ever},
	}
	if race {
		return all // the detector's own memory grows
	}
	return append(all,
		figure{"KiB resident", func(f footprint) int { return f.rss }, flat},
		figure{"KiB anonymous", func(f footprint) int { return f.anon }, flat})
}

// grown compares the first quarter of what was seen of each agent with the last, and
// says what of it has grown. An agent may have as many threads as it has goroutines.
func grown(all []sighting, goroutines int, race bool) []string {
	n := len(all) / 4
	if n < 2 {
		return []string{fmt.Sprintf("%d sightings are too few to tell whether something grows", len(all))}
	}
	var out []string
	for i, a := range all[0] {
		for _, f := range figures(goroutines, race) {
			first, last := sorted(all[:n], i, f.of), sorted(all[len(all)-n:], i, f.of)
			said := fmt.Sprintf("%s: %d %s, then %d", a.node, middle(first), f.name, middle(last))
			fmt.Println(said)
			if middle(last) > f.most(first) {
				out = append(out, said)
			}
		}
	}
	return out
}

// sorted returns a figure of an agent, in rising order.
func sorted(all []sighting, agent int, of func(footprint) int) []int {
	var v []int
	for _, s := range all {
		v = append(v, of(s[agent]))
	}
	slices.Sort(v)
	return v
}

func middle(sorted []int) int { return sorted[len(sorted)/2] }
