package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"

	"golang.org/x/net/netutil"
	"golang.org/x/sys/unix"
)

// Limits that keep clients from harming the agent.
const (
	maxClients  = 32
	maxHeader   = 8 << 10
	maxBody     = 4 << 10
	headerLimit = 2 * time.Second
	answerLimit = 2 * time.Second
)

// Handler does what clients ask for. Its methods may be called by several
// goroutines.
type Handler interface {
	Status() Status
	History() []Event
	Drain(ctx context.Context, o DrainOptions) (Result, error)
	Resume(ctx context.Context, o ResumeOptions) (Result, error)
	Reload(ctx context.Context) (Result, error)
}

// Listen opens the control socket, which only its owner may use. A socket that a
// dead agent left is replaced; one that answers is another agent's.
func Listen(path string) (net.Listener, error) {
	if err := removeDead(path); err != nil {
		return nil, err
	}
	// The socket must never be open to others, not for a moment either.
	old := unix.Umask(0o177)
	l, err := net.Listen("unix", path)
	unix.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("open the control socket: %w", err)
	}
	return l, nil
}

// removeDead removes a socket on which nobody answers, and nothing else.
func removeDead(path string) error {
	if len(path) > maxPath {
		return tooLong(path)
	}
	if info, err := os.Lstat(path); err == nil && info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket: remove it, or use another --runtime-dir", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	switch {
	case err == nil:
		c.Close()
		return fmt.Errorf("another agent answers on %s: stop it, or use another --runtime-dir", path)
	case errors.Is(err, unix.EAGAIN), errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("another agent is there, and does not answer on %s: stop it, or use another --runtime-dir", path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case !errors.Is(err, unix.ECONNREFUSED):
		return fmt.Errorf("look for another agent: %w", err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove the old control socket: %w", err)
	}
	return nil
}

// Serve answers on l until ctx ends.
func Serve(ctx context.Context, l net.Listener, h Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           NewHandler(h),
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       headerLimit,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
		BaseContext:       func(net.Listener) context.Context { return ctx },
	}
	// Who asks again has to queue again: a few clients must not keep all the places.
	srv.SetKeepAlivesEnabled(false)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		// The requests under way end with ctx; a client that does not read is cut off.
		last, cancel := context.WithTimeout(context.WithoutCancel(ctx), answerLimit)
		defer cancel()
		if srv.Shutdown(last) != nil {
			srv.Close()
		}
	})
	if err := srv.Serve(netutil.LimitListener(l, maxClients)); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve the control socket: %w", err)
	}
	<-closed
	return nil
}

// NewHandler returns the HTTP side of h.
func NewHandler(h Handler) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.Status(), nil) })
	mux.HandleFunc("GET /v1/history", func(w http.ResponseWriter, _ *http.Request) { answer(w, h.History(), nil) })
	mux.HandleFunc("POST /v1/drain", func(w http.ResponseWriter, r *http.Request) {
		res, err := h.Drain(r.Context(), DrainOptions{Wait: r.FormValue("wait") == "true", UntilReady: untilReady(r)})
		answer(w, res, err)
	})
	mux.HandleFunc("POST /v1/resume", func(w http.ResponseWriter, r *http.Request) {
		res, err := h.Resume(r.Context(), ResumeOptions{UntilReady: untilReady(r)})
		answer(w, res, err)
	})
	mux.HandleFunc("POST /v1/reload", func(w http.ResponseWriter, r *http.Request) {
		res, err := h.Reload(r.Context())
		answer(w, res, err)
	})
	return http.MaxBytesHandler(mux, maxBody)
}

func untilReady(r *http.Request) bool { return r.FormValue("until") == "ready" }

func answer(w http.ResponseWriter, v any, err error) {
	// From now on, for a drain may be waited for long: a client that does not read
	// must not keep its place. Not every writer has deadlines.
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(answerLimit))
	w.Header().Set("Content-Type", "application/json")
	if err != nil {
		w.WriteHeader(http.StatusUnprocessableEntity)
		v = Failure{Error: err.Error()}
	}
	// The client may be gone; there is nobody to tell.
	_ = json.NewEncoder(w).Encode(v)
}
