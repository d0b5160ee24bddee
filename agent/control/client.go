package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Socket returns the path of the control socket in a runtime directory.
func Socket(runtimeDir string) string { return filepath.Join(runtimeDir, "control.sock") }

// Client talks to the agent. Its errors are one line that says what to do. An answer
// that does not say what it has to is one of them: there may be an agent of another
// version, or something else, at the other end.
type Client struct{ socket string }

// ErrInterrupted says that the context of a call was cancelled before the answer came.
// What was asked for may be done or not.
var ErrInterrupted = errors.New("interrupted before the agent had answered")

// NewClient returns a client of the agent whose control socket it is.
func NewClient(socket string) *Client { return &Client{socket: socket} }

// Status asks for the state.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// History asks for the events, oldest first.
func (c *Client) History(ctx context.Context) ([]Event, error) {
	var e events
	err := c.call(ctx, http.MethodGet, "/v1/history", nil, &e)
	return e, err
}

// DrainOptions say what kind of drain is meant.
type DrainOptions struct {
	// Wait until another node has taken over, or it is clear that none will.
	Wait bool
	// UntilReady makes a drain that ends by itself once the API server was away and
	// is ready again. It is apart from the operator's, which lasts until Resume or a
	// reboot.
	UntilReady bool
}

// Drain ranks the node as down.
func (c *Client) Drain(ctx context.Context, o DrainOptions) (Result, error) {
	q := url.Values{}
	if o.Wait {
		q.Set("wait", "true")
	}
	if o.UntilReady {
		q.Set("until", "ready")
	}
	var r Result
	err := c.call(ctx, http.MethodPost, "/v1/drain", q, &r)
	return r, err
}

// ResumeOptions say what is undone.
type ResumeOptions struct {
	UntilReady bool // a drain of this kind alone
}

// Resume undoes Drain.
func (c *Client) Resume(ctx context.Context, o ResumeOptions) (Result, error) {
	q := url.Values{}
	if o.UntilReady {
		q.Set("until", "ready")
	}
	var r Result
	err := c.call(ctx, http.MethodPost, "/v1/resume", q, &r)
	return r, err
}

// Reload has the agent read its configuration again. A bad one changes nothing
// and is the error.
func (c *Client) Reload(ctx context.Context) (Result, error) {
	var r Result
	err := c.call(ctx, http.MethodPost, "/v1/reload", nil, &r)
	return r, err
}

func (c *Client) call(ctx context.Context, method, path string, q url.Values, into document) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://vipd"+path+"?"+q.Encode(), nil)
	if err != nil {
		return fmt.Errorf("make request %s: %w", path, err)
	}
	resp, body, err := exchange(ctx, c.socket, req)
	if err != nil {
		return c.explain(err)
	}
	switch resp.StatusCode {
	case http.StatusOK:
		if err := read(body, into); err != nil {
			return c.misunderstood(err)
		}
		return nil
	case http.StatusNotFound:
		return fmt.Errorf("the agent does not know %s: it is of another version; restart it: systemctl restart vipd", path)
	}
	var f Failure
	if json.Unmarshal(body, &f) != nil || f.Error == "" {
		return fmt.Errorf("the agent on %s answered %q and does not say why: see: journalctl -u vipd -n 20", c.socket, resp.Status)
	}
	return errors.New(f.Error)
}

// explain says what to do about an agent that does not answer.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED) && c.isSocket():
		return fmt.Errorf("the agent is not running (nothing answers on %s): start it with: systemctl start vipd", c.socket)
	case errors.Is(err, syscall.ECONNREFUSED), errors.Is(err, syscall.ENOTDIR):
		return fmt.Errorf("%s is no socket: name the agent's directory with --runtime-dir", c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to open %s: run the command as root", c.socket)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.EAGAIN): // too many wait already
		return fmt.Errorf("the agent does not answer on %s: see: systemctl status vipd", c.socket)
	case errors.Is(err, context.Canceled):
		return ErrInterrupted
	case errors.Is(err, errNotHTTP), errors.Is(err, errLongHeader), errors.Is(err, errTooLong):
		return c.misunderstood(err)
	case brokenOff(err):
		return fmt.Errorf("the agent on %s went away before it had answered: see: systemctl status vipd", c.socket)
	case len(c.socket) > maxPath:
		return tooLong(c.socket)
	}
	return fmt.Errorf("ask the agent on %s: %w", c.socket, err)
}

// maxPath is how long the path of a socket may be (unix(7)).
const maxPath = 107

func tooLong(path string) error {
	return fmt.Errorf("%s is too long for a socket, at most %d bytes: choose a shorter --runtime-dir", path, maxPath)
}

func (c *Client) isSocket() bool {
	info, err := os.Stat(c.socket)
	return err == nil && info.Mode()&fs.ModeSocket != 0
}

// misunderstood says what to do about an answer with something wrong.
func (c *Client) misunderstood(wrong error) error {
	return fmt.Errorf("the agent on %s answers in a way that this vipd does not understand (%w): is it of another version? Restart it: systemctl restart vipd", c.socket, wrong)
}

// Timeout is how long a command waits for an answer that needs no waiting.
const Timeout = 5 * time.Second
