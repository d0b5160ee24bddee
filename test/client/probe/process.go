package probe

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"sync"
	"syscall"
)

// Starter starts a command somewhere, such as in the network namespace of a node.
type Starter interface {
	Start(*exec.Cmd) error
}

// Process is a client program that runs somewhere else.
type Process struct {
	cmd    *exec.Cmd
	stderr bytes.Buffer
	done   chan struct{} // closed when report and err are final

	mu      sync.Mutex
	node    string        // that answers now
	changed chan struct{} // closed at the next change

	report *Report
	err    error
}

// Start starts the client program at path (package test/client, built) with the
// given configuration; zero values mean the program's defaults. The process ends
// with ctx, but only Stop gets its report.
func Start(ctx context.Context, where Starter, path string, cfg Config) (*Process, error) {
	p := &Process{done: make(chan struct{}), changed: make(chan struct{})}
	p.cmd = exec.CommandContext(ctx, path, cfg.args()...)
	p.cmd.Stderr = &p.stderr
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start client: %w", err)
	}
	if err := where.Start(p.cmd); err != nil {
		return nil, fmt.Errorf("start client: %w", err)
	}
	go func() {
		defer close(p.done)
		p.err = errors.Join(p.read(out), p.cmd.Wait())
	}()
	return p, nil
}

// Await waits until the named node answers; "" for any.
func (p *Process) Await(ctx context.Context, node string) error {
	for {
		p.mu.Lock()
		now, changed := p.node, p.changed
		p.mu.Unlock()
		if now != "" && (node == "" || now == node) {
			return nil
		}
		select {
		case <-changed:
		case <-p.done:
			return fmt.Errorf("wait for an answer of %q: the client ended: %w: %s", node, p.err, &p.stderr)
		case <-ctx.Done():
			return fmt.Errorf("wait for an answer of %q, having one of %q: %w", node, now, ctx.Err())
		}
	}
}

// Stop ends the process and returns its report.
func (p *Process) Stop() (Report, error) {
	// Should it have ended already, then the report, or its absence, says more.
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	<-p.done
	if p.err != nil {
		return Report{}, fmt.Errorf("client: %w: %s", p.err, &p.stderr)
	}
	return *p.report, nil
}

// read takes in what the process prints.
func (p *Process) read(out io.Reader) error {
	for dec := json.NewDecoder(out); ; {
		var ev Event
		err := dec.Decode(&ev)
		switch {
		case errors.Is(err, io.EOF) && p.report == nil:
			return errors.New("it ended without a report")
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return fmt.Errorf("read what it prints: %w", err)
		}
		if ev.Change != nil {
			p.setNode(ev.Change.To)
		}
		if ev.Report != nil {
			p.report = ev.Report
		}
	}
}

func (p *Process) setNode(node string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.node = node
	close(p.changed)
	p.changed = make(chan struct{})
}
