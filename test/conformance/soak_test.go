package conformance

import (
	"os"
	"testing"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// Open connections do not notice that the lease is renewed. VIPD_SOAK says for how
// long to look: ten minutes, where there is time for it (make soak).
func TestC38Renewals(t *testing.T) {
	lasts := 10 * time.Second
	if s := os.Getenv("VIPD_SOAK"); s != "" {
		var err error
		lasts, err = time.ParseDuration(s)
		must(t, err)
	}
	c := start(t, 2, nil)
	p, err := c.Probe(t.Context(), cluster.VIP4, 50*time.Millisecond)
	must(t, err)
	await(t, p, "node1")
	h := c.Servers[0]
	before, err := h.AgentMemory("VmRSS")
	must(t, err)
	stays(t, lasts, "the holder", func() error {
		if err := is(h, "Active"); err != nil {
			return err
		}
		return has(h, true)
	})
	after, err := h.AgentMemory("VmRSS")
	must(t, err)
	t.Logf("resident memory: %d KiB, then %d KiB", before, after)
	if r := report(t, p); r.Failed != 0 || len(r.Drops) != 0 || len(r.Changes) != 1 {
		t.Errorf("failed %d, idle connection %v, moves %v", r.Failed, r.Drops, r.Changes)
	}
}
