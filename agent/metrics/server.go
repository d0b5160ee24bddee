package metrics

import (
	"context"
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

// Limits that keep who scrapes from harming the agent.
const (
	maxClients  = 8
	maxHeader   = 16 << 10
	headerLimit = 2 * time.Second
	answerLimit = 5 * time.Second
)

// Listen opens the address, of network tcp or unix. A socket that a dead agent left is
// replaced; only its owner and root may use it.
func Listen(network, address string) (net.Listener, error) {
	if network == "unix" {
		return listenUnix(address)
	}
	l, err := net.Listen(network, address)
	if errors.Is(err, unix.EADDRINUSE) {
		return nil, fmt.Errorf("serve metrics: another program listens on %s: choose another port for metrics.listen", address)
	}
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	return l, nil
}

func listenUnix(path string) (net.Listener, error) {
	if err := removeDead(path); err != nil {
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, fmt.Errorf("serve metrics: %w", err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, fmt.Errorf("serve metrics: %w", errors.Join(err, l.Close()))
	}
	return l, nil
}

// removeDead removes a socket on which nobody answers, and nothing else.
func removeDead(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return fmt.Errorf("%s is there and is no socket: choose another path for metrics.listen", path)
	}
	if c, err := net.DialTimeout("unix", path, time.Second); !errors.Is(err, unix.ECONNREFUSED) {
		if err == nil {
			c.Close()
		}
		return fmt.Errorf("another program answers on %s: choose another path for metrics.listen", path)
	}
	return os.Remove(path)
}

// Serve answers scrapes on l until ctx ends, and closes it.
func Serve(ctx context.Context, l net.Listener, h http.Handler, log *slog.Logger) error {
	srv := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: headerLimit,
		ReadTimeout:       headerLimit,
		WriteTimeout:      answerLimit,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          slog.NewLogLogger(log.Handler(), slog.LevelDebug),
	}
	// Who scrapes again has to queue again: a few clients must not keep all the places.
	srv.SetKeepAlivesEnabled(false)
	closed := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(closed)
		srv.Close() // a scrape that is cut off is repeated; the agent must not wait for it
	})
	if err := srv.Serve(netutil.LimitListener(l, maxClients)); !errors.Is(err, http.ErrServerClosed) {
		stop()
		return fmt.Errorf("serve metrics: %w", err)
	}
	<-closed
	return nil
}
