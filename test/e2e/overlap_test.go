package e2e

import (
	"slices"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// overlap is how long more than one node has had the VIP on its interface, as the
// kernels say, whatever the agents do.
type overlap struct {
	stop, done chan struct{}
	longest    time.Duration // final when done is closed
	err        error
}

// watchHolders watches the nodes' interfaces until the trial ends. No node may be
// rebooted meanwhile.
func (x *trial) watchHolders() *overlap {
	o := &overlap{stop: make(chan struct{}), done: make(chan struct{})}
	go o.watch(x.nodes)
	x.Cleanup(o.end)
	return o
}

// atMost ends the watch, and wants no overlap to have been longer than limit.
func (o *overlap) atMost(x *trial, limit time.Duration) {
	x.Helper()
	o.end()
	x.must(o.err)
	x.Logf("two nodes had the VIP for %v at most", o.longest)
	if o.longest > limit {
		x.Errorf("two nodes had the VIP for %v, want at most %v", o.longest, limit)
	}
}

func (o *overlap) end() {
	select {
	case <-o.done:
	case o.stop <- struct{}{}:
		<-o.done
	}
}

func (o *overlap) watch(nodes []*node) {
	defer close(o.done)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var since time.Time
	for {
		count, err := holding(nodes)
		switch {
		case err != nil:
			o.err = err
			return
		case count < 2:
			since = time.Time{}
		case since.IsZero():
			since = time.Now()
		default:
			o.longest = max(o.longest, time.Since(since))
		}
		select {
		case <-tick.C:
		case <-o.stop:
			return
		}
	}
}

// holding counts the nodes whose interface has the VIP.
func holding(nodes []*node) (int, error) {
	count := 0
	for _, n := range nodes {
		addrs, err := n.port.Addrs()
		if err != nil {
			return 0, err
		}
		if slices.Contains(addrs, cluster.VIP4) {
			count++
		}
	}
	return count, nil
}
