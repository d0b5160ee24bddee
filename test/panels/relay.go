package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"time"

	"github.com/vipd/vipd/test/cluster"
)

// relay brings the metrics of the agents, which they serve on sockets, to Prometheus,
// which asks ports alone: /node1 is what the agent of node1 says.
type relay struct {
	listener net.Listener
	server   *http.Server
	sockets  map[string]string // by path
}

func metricsSocket(s *cluster.Server) string { return filepath.Join(s.RuntimeDir(), "metrics.sock") }

func newRelay(servers []*cluster.Server) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("relay metrics: %w", err)
	}
	r := &relay{listener: l, sockets: make(map[string]string)}
	for _, s := range servers {
		r.sockets["/"+s.Name] = metricsSocket(s)
	}
	r.server = &http.Server{Handler: r, ReadHeaderTimeout: time.Second}
	return r, nil
}

// run serves until ctx ends.
func (r *relay) run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, func() { _ = r.server.Close() })
	defer stop()
	if err := r.server.Serve(r.listener); ctx.Err() == nil {
		return fmt.Errorf("relay metrics: %w", err)
	}
	return nil
}

func (r *relay) ServeHTTP(w http.ResponseWriter, asked *http.Request) {
	text, err := scrape(asked.Context(), r.sockets[asked.URL.Path])
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	w.Header().Set("Content-Type", "text/plain; version=0.0.4")
	_, _ = w.Write(text) // Prometheus may have hung up
}

// scrape asks an agent.
func scrape(ctx context.Context, socket string) ([]byte, error) {
	transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", socket)
	}}
	ctx, cancel := context.WithTimeout(ctx, step*9/10)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/metrics", nil)
	if err != nil {
		return nil, err
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the agent answers %s", resp.Status)
	}
	return io.ReadAll(resp.Body)
}

// targets is the part of prometheus.yml that names the servers.
func (r *relay) targets() string {
	var b strings.Builder
	for path := range r.sockets {
		fmt.Fprintf(&b, "  - targets: [%q]\n    labels: { __metrics_path__: %q, instance: %q }\n", r.listener.Addr(), path, path[1:])
	}
	return b.String()
}
