package agent

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vipd/vipd/agent/control"
)

const (
	// maxHistory bounds what is read of the file, in bytes.
	maxHistory = 8 << 20
	// writeAgain is how long a disk that took no history is left alone: the whole of it
	// has to be written then, which is no work to do for each event.
	writeAgain = 10 * time.Second
)

// chronicle keeps the history in a file of the runtime directory, an event a line, for
// the agents that follow. Only the recorder writes it. It is in memory there, like the
// saved state: no disk that etcd needs is written to.
type chronicle struct {
	path  string
	file  *os.File // nil: to be written anew
	lines int
	why   error     // it could not be written anew; nil: it could
	at    time.Time // when that was tried
}

func historyPath(dir string) string { return filepath.Join(dir, "history.jsonl") }

// openChronicle returns the events that are in the file, oldest first, as many as are kept.
// An error says what was lost; what could be read is there all the same.
func openChronicle(dir string) (*chronicle, []control.Event, error) {
	c := &chronicle{path: historyPath(dir)}
	events, err := c.read()
	return c, events, errors.Join(err, c.rewrite(events, time.Now()))
}

func (c *chronicle) read() ([]control.Event, error) {
	f, err := os.Open(c.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHistory))
	if err != nil {
		return nil, fmt.Errorf("read the history: %w", err)
	}
	var events []control.Event
	bad := 0
	for line := range bytes.Lines(text) {
		var e control.Event
		if json.Unmarshal(line, &e) != nil || e.Kind == "" {
			bad++ // a crash can leave half a line
			continue
		}
		events = append(events, e)
	}
	if bad > 0 {
		err = fmt.Errorf("read the history: %d lines of %s are damaged", bad, c.path)
	}
	return slices.Clone(events[max(0, len(events)-historySize):]), err
}

// add writes the last of the events, which are all that are kept.
func (c *chronicle) add(events []control.Event) error {
	last := events[len(events)-1]
	if since := last.Time.Sub(c.at); c.why != nil && since >= 0 && since < writeAgain {
		return c.why
	}
	if c.file == nil || c.lines >= 2*historySize {
		return c.rewrite(events, last.Time)
	}
	line, err := json.Marshal(last)
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	if _, err := c.file.Write(append(line, '\n')); err != nil {
		c.close() // half a line may be there
		return fmt.Errorf("write the history: %w", err)
	}
	c.lines++
	return nil
}

// rewrite puts a file with these events in place of what is there.
func (c *chronicle) rewrite(events []control.Event, now time.Time) error {
	c.close()
	c.why, c.at = c.replace(events), now
	return c.why
}

// replace does so, and leaves the chronicle without a file if it cannot.
func (c *chronicle) replace(events []control.Event) error {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	for _, e := range events {
		if err := enc.Encode(e); err != nil {
			return fmt.Errorf("write the history: %w", err)
		}
	}
	f, err := replace(c.path, b.Bytes())
	if err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	c.file, c.lines = f, len(events)
	return nil
}

func (c *chronicle) close() {
	if c.file != nil {
		c.file.Close()
		c.file = nil
	}
}
