package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"syscall"
	"time"
)

// Socket returns the path of the control socket in a runtime directory.
func Socket(runtimeDir string) string { return filepath.Join(runtimeDir, "control.sock") }

// maxAnswer bounds what is read of an answer.
const maxAnswer = 16 << 20

// Client talks to the agent. Its errors are one line that says what to do.
type Client struct {
	socket string
	http   http.Client
}

// NewClient returns a client of the agent whose control socket it is.
func NewClient(socket string) *Client {
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", socket)
	}
	return &Client{socket: socket, http: http.Client{Transport: &http.Transport{DialContext: dial, DisableKeepAlives: true}}}
}

// Status asks for the state.
func (c *Client) Status(ctx context.Context) (Status, error) {
	var s Status
	err := c.call(ctx, http.MethodGet, "/v1/status", nil, &s)
	return s, err
}

// History asks for the events, oldest first.
func (c *Client) History(ctx context.Context) ([]Event, error) {
	var e []Event
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

func (c *Client) call(ctx context.Context, method, path string, q url.Values, into any) error {
	req, err := http.NewRequestWithContext(ctx, method, "http://vipd"+path+"?"+q.Encode(), nil)
	if err != nil {
		return fmt.Errorf("make request %s: %w", path, err)
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return c.explain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	if resp.StatusCode == http.StatusNotFound {
		return fmt.Errorf("the agent does not know %s: it is of another version; restart it: systemctl restart vipd", path)
	}
	if resp.StatusCode != http.StatusOK {
		var f Failure
		if json.Unmarshal(body, &f) != nil || f.Error == "" {
			return fmt.Errorf("the agent answered %s", resp.Status)
		}
		return errors.New(f.Error)
	}
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("understand the agent's answer (is it of another version?): %w", err)
	}
	return nil
}

// explain says what to do about an agent that does not answer.
func (c *Client) explain(err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("the agent is not running (nothing answers on %s): start it with: systemctl start vipd", c.socket)
	case errors.Is(err, fs.ErrPermission):
		return fmt.Errorf("no permission to open %s: run the command as root", c.socket)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("the agent does not answer on %s: see: systemctl status vipd", c.socket)
	}
	return fmt.Errorf("ask the agent on %s: %w", c.socket, err)
}

// Timeout is how long a command waits for an answer that needs no waiting.
const Timeout = 5 * time.Second
