package probe

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"
	"time"
)

// target is what is asked.
type target struct {
	cfg    Config
	tls    *tls.Config // nil for plain TCP
	dialer net.Dialer
}

func newTarget(cfg Config) (*target, error) {
	host, _, err := net.SplitHostPort(cfg.Address)
	if err != nil {
		return nil, fmt.Errorf("read address: %w", err)
	}
	t := &target{cfg: cfg, dialer: net.Dialer{Timeout: cfg.DialTimeout}}
	if cfg.CAFile == "" {
		return t, nil
	}
	pem, err := os.ReadFile(cfg.CAFile)
	if err != nil {
		return nil, fmt.Errorf("read CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read CA: no certificate in %s", cfg.CAFile)
	}
	if cfg.ServerName != "" {
		host = cfg.ServerName
	}
	v := &verifier{opts: x509.VerifyOptions{Roots: pool, DNSName: host}}
	t.tls = &tls.Config{
		ServerName: host,
		MinVersion: tls.VersionTLS12,
		// The default's post-quantum half costs more and measures nothing.
		CurvePreferences: []tls.CurveID{tls.X25519},
		// The verifier does what this turns off, once for each certificate.
		InsecureSkipVerify: true,
		VerifyConnection:   v.verify,
	}
	return t, nil
}

// verifier checks certificates. It remembers the last good one: the servers show
// the same few again and again, and checking them is a fifth of the client's work.
// That the server has the certificate's key is proven in each handshake all the same.
type verifier struct {
	opts x509.VerifyOptions
	good atomic.Pointer[x509.Certificate]
}

func (v *verifier) verify(cs tls.ConnectionState) error {
	leaf := cs.PeerCertificates[0]
	if good := v.good.Load(); good != nil && good.Equal(leaf) {
		return nil
	}
	opts := v.opts
	opts.Intermediates = x509.NewCertPool()
	for _, c := range cs.PeerCertificates[1:] {
		opts.Intermediates.AddCert(c)
	}
	if _, err := leaf.Verify(opts); err != nil {
		return err
	}
	v.good.Store(leaf)
	return nil
}

// failure is an error and the outcome that it means.
type failure struct {
	outcome Outcome
	err     error
}

func (f *failure) Error() string { return f.err.Error() }

// ask opens a connection, learns who answers, and resets it.
func (t *target) ask(ctx context.Context) (node string, err error) {
	s, err := t.open(ctx, "/")
	if err != nil {
		return "", err
	}
	s.reset()
	return s.node, nil
}

// session is a connection on which a node has told its name.
type session struct {
	raw  net.Conn
	rest io.Reader
	node string
}

// open connects and asks for path. Its errors are failures.
func (t *target) open(ctx context.Context, path string) (*session, error) {
	deadline := time.Now().Add(t.cfg.Timeout)
	raw, err := t.dialer.DialContext(ctx, "tcp", t.cfg.Address)
	if err != nil {
		return nil, &failure{dialOutcome(err), err}
	}
	// The end of the measurement ends what it has begun.
	defer context.AfterFunc(ctx, func() { raw.Close() })()
	s := &session{raw: raw}
	if err := t.greetUntil(ctx, s, path, deadline); err != nil {
		s.reset()
		return nil, err
	}
	return s, nil
}

func (t *target) greetUntil(ctx context.Context, s *session, path string, deadline time.Time) error {
	if err := s.raw.SetDeadline(deadline); err != nil {
		return err
	}
	if err := t.greet(ctx, s, path); err != nil {
		return err
	}
	return s.raw.SetDeadline(time.Time{})
}

// greet learns the node's name.
func (t *target) greet(ctx context.Context, s *session, path string) error {
	if t.tls == nil {
		return s.readName(s.raw)
	}
	conn := tls.Client(s.raw, t.tls)
	if err := conn.HandshakeContext(ctx); err != nil {
		return &failure{cutOutcome(err, BadTLS), fmt.Errorf("handshake: %w", err)}
	}
	if _, err := fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, t.cfg.Address); err != nil {
		return &failure{cutOutcome(err, Other), fmt.Errorf("write request: %w", err)}
	}
	resp, err := http.ReadResponse(bufio.NewReaderSize(conn, 1024), nil)
	if err != nil {
		return &failure{cutOutcome(err, Other), fmt.Errorf("read answer: %w", err)}
	}
	if resp.StatusCode != http.StatusOK {
		return &failure{Other, fmt.Errorf("status %d", resp.StatusCode)}
	}
	return s.readName(resp.Body)
}

// readName reads the line that is the node's name.
func (s *session) readName(r io.Reader) error {
	br := bufio.NewReaderSize(r, 64)
	line, err := br.ReadString('\n')
	if err != nil {
		return &failure{cutOutcome(err, Other), fmt.Errorf("read node name: %w", err)}
	}
	s.node, s.rest = strings.TrimSpace(line), br
	return nil
}

// wait blocks until the connection ends, and says how.
func (s *session) wait() error {
	_, err := io.Copy(io.Discard, s.rest)
	if err == nil {
		return io.EOF
	}
	return err
}

// reset closes without leaving the port in TIME_WAIT: at 500 connections a second
// the ports would last for a minute.
func (s *session) reset() {
	if tcp, ok := s.raw.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = s.raw.Close()
}
