package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"sync"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// counter counts the lines that have one of some words in them.
type counter struct {
	words []string

	mu   sync.Mutex
	n    int
	last time.Time
}

var _ io.Writer = (*counter)(nil)

func newCounter(words ...string) *counter { return &counter{words: words} }

func (c *counter) Write(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, w := range c.words {
		if n := strings.Count(string(b), w); n > 0 {
			c.n += n
			c.last = time.Now()
		}
	}
	return len(b), nil
}

func (c *counter) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n
}

// await waits for so many lines, and returns when the last one came.
func (c *counter) await(ctx context.Context, n int) (at time.Time, err error) {
	err = cluster.Until(ctx, "the agent to be Backup", func() error {
		c.mu.Lock()
		defer c.mu.Unlock()
		at = c.last
		if c.n < n {
			return fmt.Errorf("it has said so of %d of %d", c.n, n)
		}
		return nil
	})
	return at, err
}
