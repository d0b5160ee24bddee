package sim

import "time"

// network joins endpoints: the nodes first, then the clients.
type network struct {
	c        *cluster
	cut      [][]bool // cut[i][j]: nothing gets from i to j
	down     []bool   // the endpoint's link
	loss     float64
	dup      float64
	maxDelay time.Duration
}

const minDelay = 100 * time.Microsecond

func newNetwork(c *cluster, endpoints int, maxDelay time.Duration) network {
	w := network{c: c, down: make([]bool, endpoints), maxDelay: maxDelay}
	for range endpoints {
		w.cut = append(w.cut, make([]bool, endpoints))
	}
	return w
}

// passes reports whether what i sends gets to j, if it is not lost by chance.
func (w *network) passes(i, j int) bool { return !w.cut[i][j] && !w.down[i] && !w.down[j] }

// send delivers a frame after a delay, never, or twice. It reports whether it
// was lost by chance.
func (w *network) send(from, to int, deliver event) (lost bool) {
	if !w.passes(from, to) {
		return false
	}
	if w.c.chance(w.loss) {
		return true
	}
	w.c.afterAll(w.c.between(minDelay, w.maxDelay), deliver)
	if w.c.chance(w.dup) {
		w.c.afterAll(w.c.between(minDelay, w.maxDelay), deliver)
	}
	return false
}

// split cuts the network into two parts; side says for each endpoint where it is.
func (w *network) split(side []bool) {
	for i := range w.cut {
		for j := range w.cut {
			w.cut[i][j] = side[i] != side[j]
		}
	}
}

// heal takes away all that was done to the network.
func (w *network) heal() {
	w.split(make([]bool, len(w.cut)))
	clear(w.down)
	w.loss, w.dup = 0, 0
}
