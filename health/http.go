package health

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"
)

// httpProbe asks one URL over TLS. It keeps its connection open, and so learns
// at once when the server dies.
type httpProbe struct {
	transport *http.Transport
	request   *http.Request
	path      string // as the operator reads it
	addr      string
	want      int
	timeout   time.Duration

	files loader
	used  atomic.Pointer[credentials] // by the youngest connection
	lost  func()
}

// maxBody is how much of an answer is read. A server's whole list of checks
// takes 2 KiB.
const maxBody = 16 << 10

// newHTTPProbe makes a probe of u. It loads its credentials anew for each
// connection, because certificates are renewed. lost is called when the server
// closes a connection.
func newHTTPProbe(ctx context.Context, u *url.URL, timeout time.Duration, load func(string) (*credentials, error), lost func()) *httpProbe {
	path, _, _ := strings.Cut(u.RequestURI(), "&")
	p := &httpProbe{
		request: &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{"User-Agent": {"vipd"}}},
		path:    path,
		addr:    u.Host,
		want:    http.StatusOK,
		timeout: timeout,
		files:   newLoader(load),
		lost:    lost,
	}
	p.transport = &http.Transport{
		DialTLSContext: func(dialing context.Context, network, addr string) (net.Conn, error) {
			// net/http dials on when the request that wanted the connection has
			// given up, so the end of the probe has to end the dial too.
			dialing, cancel := context.WithTimeout(dialing, timeout)
			defer cancel()
			defer context.AfterFunc(ctx, cancel)()
			return p.dial(dialing, network, addr)
		},
		DisableCompression:  true,
		MaxIdleConnsPerHost: 1,
	}
	return p
}

func (p *httpProbe) close() { p.transport.CloseIdleConnections() }

func (p *httpProbe) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	creds, err := p.files.load(ctx, p.request.URL.Hostname())
	if err != nil {
		return nil, err
	}
	p.used.Store(creds)
	raw, err := new(net.Dialer).DialContext(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	conn := tls.Client(raw, creds.config)
	if err := conn.HandshakeContext(ctx); err != nil {
		raw.Close()
		return nil, err
	}
	return &watchedConn{Conn: conn, lost: p.lost}, nil
}

// ask returns nil if the server gives the wanted status within the deadline of ctx.
func (p *httpProbe) ask(ctx context.Context) error {
	resp, err := p.transport.RoundTrip(p.request.WithContext(ctx))
	if err != nil {
		return p.explain(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxBody))
	if err != nil {
		return p.explain(err)
	}
	if resp.StatusCode == p.want {
		return nil
	}
	return p.explainStatus(resp.StatusCode, body)
}

// explainStatus says what an answer other than the wanted one means.
func (p *httpProbe) explainStatus(status int, body []byte) error {
	creds := p.used.Load()
	switch status {
	case http.StatusUnauthorized:
		// The next connection may come with a newer certificate.
		p.transport.CloseIdleConnections()
		return &fault{words: "401 unauthorized: " + creds.refusal(time.Now())}
	case http.StatusForbidden:
		p.transport.CloseIdleConnections()
		return &fault{words: fmt.Sprintf("403 forbidden: %s may not read %s", creds.identity(), p.path)}
	case http.StatusNotFound:
		return &fault{words: fmt.Sprintf("404 not found: %s is not served, or not yet", p.path)}
	}
	if failed := failedChecks(body); len(failed) > 0 {
		return &fault{words: fmt.Sprintf("%s: %s failed", p.path, enumerate(failed))}
	}
	words := fmt.Sprintf("%s: status %d", p.path, status)
	if line := firstLine(body); line != "" {
		words += ": " + line
	}
	return &fault{words: words}
}

// explain says what it means that there was no answer.
func (p *httpProbe) explain(err error) error {
	var known *fault
	switch {
	case errors.As(err, &known):
		return known
	case refused(err):
		return &fault{"connection refused: nothing listens on " + p.addr, err}
	case timedOut(err) && p.files.hangs(p.timeout/2):
		return &fault{filesHang, err}
	case timedOut(err):
		return &fault{fmt.Sprintf("no answer from %s within %s", p.path, p.timeout), err}
	case broken(err):
		// It may have died a moment ago: look again at once.
		p.lost()
		return &fault{"the server closed the connection without an answer", err}
	}
	if words := p.explainTLS(err); words != "" {
		return &fault{words, err}
	}
	return fmt.Errorf("GET %s: %w", p.path, err)
}

// explainTLS says why there is no TLS connection, "" if that is not the reason.
func (p *httpProbe) explainTLS(err error) string {
	var (
		authority x509.UnknownAuthorityError
		invalid   x509.CertificateInvalidError
		hostname  x509.HostnameError
		notTLS    tls.RecordHeaderError
		op        *net.OpError
	)
	switch {
	case errors.As(err, &authority):
		return fmt.Sprintf("the certificate of %s is not signed by %s: another server, or another cluster's files?", p.addr, p.used.Load().authority())
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired:
		return fmt.Sprintf("the certificate of %s is valid from %s to %s only: look at the clock, or restart the server to renew it",
			p.addr, day(invalid.Cert.NotBefore), day(invalid.Cert.NotAfter))
	case errors.As(err, &hostname):
		return fmt.Sprintf("the certificate of %s is not for %s: use a url that it names", p.addr, hostname.Host)
	case errors.As(err, &notTLS):
		return p.addr + " does not speak TLS: another program listens there"
	case errors.As(err, &op) && op.Op == "remote error":
		return fmt.Sprintf("the server refuses the TLS connection (%v): %s", op.Err, p.used.Load().refusal(time.Now()))
	}
	return ""
}

// watchedConn tells when the other end closes the connection. net/http reads
// from a connection all the time, also when it is idle.
type watchedConn struct {
	net.Conn
	lost func()
}

func (c *watchedConn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if err != nil && broken(err) {
		c.lost()
	}
	return n, err
}
