package e2e

import (
	"context"
	"time"
)

// partitionScenarios split the segment, and join it again.
func partitionScenarios() []scenario {
	return []scenario{
		{
			name: "the holder is cut off from the others and the client, for a while",
			fault: func(x *trial) {
				defer x.split(x.first)()
				x.answered(x.anotherHolds())
			},
			limits: limits{failed: anyNumber, gap: 1200 * time.Millisecond, moves: anyNumber},
			also:   "one node holds the VIP within 5s of the end, and answers",
		},
		{
			name: "the holder and the client are cut off from the others, for a while",
			fault: func(x *trial) {
				defer x.split(x.others(x.first)...)()
				x.anotherHolds()
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: anyNumber},
			also:   "one node holds the VIP within 5s of the end, and answers",
		},
		{
			name: "all machines are cut off from each other, for a while",
			fault: func(x *trial) {
				others := x.others(x.first)
				defer x.split(others[1])()
				defer x.splitTo("apart2", others[0])()
				for _, n := range others {
					x.until("each to hold the VIP for itself", x.holds(n))
				}
			},
			limits: limits{resets: 2, gap: 100 * time.Millisecond, moves: anyNumber},
			also:   "one node holds the VIP within 5s of the end, and answers",
		},
	}
}

// healing is how long the site may take to have one holder again.
const healing = 5 * time.Second

// split moves nodes to another segment. It returns how to join them again, which
// waits until one node holds the VIP.
func (x *trial) split(nodes ...*node) (join func()) {
	x.Helper()
	back := x.splitTo("apart", nodes...)
	return func() {
		back()
		ctx, cancel := context.WithTimeout(x.Context(), healing)
		defer cancel()
		x.must(await(ctx, "one node to hold the VIP", func() error { return x.isNormal(ctx, (*node).status) }))
		winner, err := x.holder(ctx)
		x.must(err)
		x.must(x.client.Await(ctx, winner.name))
	}
}

func (x *trial) splitTo(segment string, nodes ...*node) (join func()) {
	x.Helper()
	x.switched("link", "add", segment, "type", "bridge", "mcast_snooping", "0")
	x.switched("link", "set", segment, "up")
	for _, n := range nodes {
		x.switched("link", "set", n.name, "master", segment)
	}
	return func() {
		for _, n := range nodes {
			x.switched("link", "set", n.name, "master", "br0")
		}
		x.switched("link", "delete", segment)
	}
}

func (x *trial) switched(args ...string) {
	x.Helper()
	_, err := x.lab.Switch().Run("ip", args...)
	x.must(err)
}

// others are all nodes but one.
func (x *trial) others(but *node) []*node {
	var out []*node
	for _, n := range x.nodes {
		if n != but {
			out = append(out, n)
		}
	}
	return out
}
