package vip

import (
	"sync"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/vipd/vipd/vrrp"
)

// Census is a list of the host's addresses of one family that Holders share, so that
// the renewals of many routers cost one look at the kernel's list and not one each.
// The zero value is ready to use.
type Census struct {
	mu    sync.Mutex
	at    vrrp.Instant
	there []assigned // nil: none was taken
}

// censusAge is how much older than a renewal's token the list may be. What goes
// meanwhile is put back out of order at worst, and only for as long as its claim takes,
// which follows when the loss is noticed.
const censusAge = 50 * time.Millisecond

// since returns the list, taken anew unless the last one is recent enough for a token.
func (c *Census) since(token vrrp.Instant, clock func() vrrp.Instant, h *netlink.Handle, f vrrp.Family) ([]assigned, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.there != nil && token.Sub(c.at) < censusAge {
		return c.there, nil
	}
	at := clock()
	there, err := list(h, f)
	if err != nil {
		return nil, err
	}
	c.at, c.there = at, there
	return there, nil
}
