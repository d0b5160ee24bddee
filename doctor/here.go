package doctor

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/vipd/vipd/agent/control"
	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
)

// Here are the sources of this host.
func Here(runtimeDir string) Sources {
	return Sources{
		Network: hostNetwork{}, Files: hostFiles{}, Commands: hostCommands{}, Units: systemctl{hostCommands{}}, Wire: hostWire{},
		Secrets: hostSecrets{}, API: hostAPI{}, Agent: newHostAgent(control.Socket(runtimeDir)), Kernel: hostKernel{},
	}
}

type hostFiles struct{}

func (hostFiles) Read(path string) ([]byte, error) { return os.ReadFile(path) }

func (hostFiles) Glob(pattern string) []string {
	list, _ := filepath.Glob(pattern) // the patterns are ours, and good
	return list
}

type hostCommands struct{}

func (hostCommands) Run(ctx context.Context, name string, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	cmd.WaitDelay = time.Second
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(stderr.String()), "\n")
		return nil, fmt.Errorf("%s: %w: %s", name, err, line)
	}
	return stdout.Bytes(), nil
}

// systemctl asks systemd as an operator does.
type systemctl struct{ Commands }

func (s systemctl) Show(ctx context.Context, unit string) (Unit, error) {
	properties := append([]string{"LoadState", "ActiveState", "UnitFileState", "Result", "ExecMainStatus", "MainPID", "CPUSchedulingPolicy", "FragmentPath", "DropInPaths", "ExecStart"},
		givenProperties()...)
	out, err := s.run(ctx, "show", "--property", strings.Join(properties, ","), "--", unit)
	if err != nil {
		return Unit{}, err
	}
	return readUnit(unit, out), nil
}

// readUnit reads what systemctl show prints.
func readUnit(unit string, text []byte) Unit {
	facts := settings(text)
	u := Unit{
		Name: unit, LoadState: facts["LoadState"], ActiveState: facts["ActiveState"], UnitFileState: facts["UnitFileState"],
		Result: facts["Result"], ExecStart: facts["ExecStart"], Policy: facts["CPUSchedulingPolicy"], Path: facts["FragmentPath"], DropIns: strings.Fields(facts["DropInPaths"]),
		Given: make(map[string]string),
	}
	u.ExitStatus, _ = strconv.Atoi(facts["ExecMainStatus"]) // not there: 0
	u.MainPID, _ = strconv.Atoi(facts["MainPID"])
	for _, name := range givenProperties() {
		if value, ok := facts[name]; ok {
			u.Given[name] = value
		}
	}
	return u
}

func (s systemctl) Match(ctx context.Context, pattern string) ([]string, error) {
	out, err := s.run(ctx, "list-unit-files", "--no-legend", "--no-pager", "--full", pattern)
	if err != nil {
		return nil, err
	}
	var names []string
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) > 0 {
			names = append(names, f[0])
		}
	}
	return names, nil
}

func (s systemctl) run(ctx context.Context, args ...string) ([]byte, error) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return nil, errors.New("needs systemd, which does not run here")
	}
	out, err := s.Run(ctx, "systemctl", args...)
	if err != nil {
		return nil, fmt.Errorf("ask systemd: %w", err)
	}
	return out, nil
}

type hostSecrets struct{}

func (hostSecrets) Keys(a *config.Auth) (map[uint8][]byte, error)    { return a.ReadKeys() }
func (hostSecrets) Identity(c health.Check) (health.Identity, error) { return c.Identity() }

type hostAPI struct{}

const (
	askTimeout = 4 * time.Second // /readyz without a leader takes 2 s
	maxAnswer  = 1 << 20
)

func (hostAPI) Certificate(ctx context.Context, target string) (*x509.Certificate, error) {
	u, err := url.Parse(target)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	// Nothing is sent: whether the certificate can be trusted is another check's.
	d := tls.Dialer{Config: &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}}
	host := u.Host
	if u.Port() == "" {
		host = u.Host + ":443"
	}
	conn, err := d.DialContext(ctx, "tcp", host)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	certs := conn.(*tls.Conn).ConnectionState().PeerCertificates
	if len(certs) == 0 {
		return nil, errors.New("the server presents no certificate")
	}
	return certs[0], nil
}

func (hostAPI) Get(ctx context.Context, id health.Identity, target string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target, nil)
	if err != nil {
		return 0, nil, err
	}
	req.Header.Set("User-Agent", "vipd-doctor")
	client := http.Client{
		Transport:     &http.Transport{TLSClientConfig: id.TLS, DisableKeepAlives: true},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	return resp.StatusCode, body, err
}
