package control

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"time"
)

// document is what the agent answers with. Fields that this version does not know are
// no fault of it: they come from a newer one.
type document interface {
	// lacks names the first field that every version has and this one has not; "": none.
	lacks() string
}

func (s *Status) lacks() string {
	switch {
	case s.Version == "":
		return "version"
	case s.Started.IsZero():
		return "started"
	case s.Health.Grade == "":
		return "health.grade"
	case s.Routers == nil:
		return "routers"
	}
	for _, r := range s.Routers {
		if field := r.lacks(); field != "" {
			return "routers." + field
		}
	}
	return ""
}

func (r Router) lacks() string {
	switch {
	case r.VIP == "":
		return "vip"
	case r.Family == "":
		return "family"
	case r.State == "":
		return "state"
	case r.Grade == "":
		return "grade"
	}
	return ""
}

// events are a history as it is answered.
type events []Event

func (e *events) lacks() string {
	if *e == nil {
		return "a list"
	}
	for _, x := range *e {
		switch {
		case x.Time.IsZero():
			return "time"
		case x.Kind == "":
			return "kind"
		}
	}
	return ""
}

func (r *Result) lacks() string {
	if r.Message == "" {
		return "message"
	}
	return ""
}

// read reads a document, and says in words what is wrong with it.
func read(body []byte, into document) error {
	if len(body) == 0 {
		return errors.New("it is empty")
	}
	if err := json.Unmarshal(body, into); err != nil {
		return misfit(err)
	}
	if field := into.lacks(); field != "" {
		return fmt.Errorf("it lacks %s", field)
	}
	return nil
}

func misfit(err error) error {
	var kind *json.UnmarshalTypeError
	var syntax *json.SyntaxError
	switch {
	case errors.As(err, &kind) && kind.Field == "":
		return fmt.Errorf("it is a JSON %s", kind.Value)
	case errors.As(err, &kind):
		return fmt.Errorf("%s is a JSON %s", kind.Field, kind.Value)
	case errors.As(err, &syntax):
		return errors.New("it is not JSON")
	}
	return errors.New("one of its times or durations is none")
}

// How much is read of an answer.
const (
	maxAnswerHeader = 64 << 10
	maxAnswer       = 16 << 20
)

// What is wrong with an answer of something that is no agent.
var (
	errLongHeader = fmt.Errorf("its header is longer than %d KiB", maxAnswerHeader>>10)
	errTooLong    = fmt.Errorf("it is longer than %d MiB", maxAnswer>>20)
	errNotHTTP    = errors.New("it is not HTTP")
)

// exchange makes one request on a connection of its own, and reads the answer.
func exchange(ctx context.Context, socket string, req *http.Request) (*http.Response, []byte, error) {
	var d net.Dialer
	conn, err := d.DialContext(ctx, "unix", socket)
	if err != nil {
		return nil, nil, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	resp, body, err := converse(conn, req)
	if err != nil && ctx.Err() != nil {
		return nil, nil, ctx.Err()
	}
	return resp, body, err
}

func converse(conn net.Conn, req *http.Request) (*http.Response, []byte, error) {
	if err := req.Write(conn); err != nil {
		return nil, nil, err
	}
	all := &io.LimitedReader{R: conn, N: maxAnswerHeader}
	resp, err := http.ReadResponse(bufio.NewReader(all), req)
	if err != nil && all.N == 0 {
		return nil, nil, errLongHeader
	}
	var body []byte
	if err == nil {
		defer resp.Body.Close()
		all.N += maxAnswer - maxAnswerHeader
		body, err = io.ReadAll(resp.Body)
	}
	switch {
	case all.N == 0:
		return nil, nil, errTooLong
	case err != nil && !brokenOff(err):
		return nil, nil, errNotHTTP
	}
	return resp, body, err
}

// brokenOff tells whether the other end went away.
func brokenOff(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}
