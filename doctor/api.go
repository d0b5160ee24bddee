package doctor

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/health"
	"github.com/vipd/vipd/k3s"
)

// soon is how long before its end a certificate is worth a word. K3s renews its own
// when it starts within 90 days of it.
const soon = 30 * 24 * time.Hour

const rotate = "systemctl stop k3s && k3s certificate rotate && systemctl start k3s"

func checkCredentials(ctx context.Context, p *patient) ([]Finding, error) {
	cfg, err := p.cfg()
	if err != nil {
		return nil, errNoConfig
	}
	probes, err := p.probes()
	if err != nil {
		return nil, err
	}
	var list []Finding
	for _, c := range probes {
		list = append(list, p.checkIdentity(ctx, c)...)
	}
	if cfg.Auth != nil {
		list = append(list, p.checkKeys(ctx, readable(cfg.Auth))...)
	}
	return list, nil
}

func (p *patient) checkKeys(ctx context.Context, auth *config.Auth) []Finding {
	if len(auth.Keys) == 0 {
		return nil
	}
	if _, err := p.Secrets.Keys(auth); err != nil {
		return []Finding{found("auth-key-unusable", "auth", err.Error(), "docs/security.md tells how keys are made")}
	}
	var list []Finding
	for _, k := range auth.Keys {
		list = append(list, p.checkReadable(ctx, "auth-key-unusable", "auth", k.File)...)
	}
	return list
}

func (p *patient) checkIdentity(ctx context.Context, c health.Check) []Finding {
	id, err := p.Secrets.Identity(c)
	switch {
	case errors.Is(err, fs.ErrNotExist) && c.Type == string(config.CheckK3s):
		return []Finding{found("credentials-missing", c.String(), err.Error(), "systemctl start k3s, or mend data_dir in "+p.ConfigPath)}
	case errors.Is(err, fs.ErrNotExist):
		return []Finding{found("credentials-missing", c.String(), err.Error(), "mend ca_file, cert_file and key_file in "+p.ConfigPath)}
	case err != nil:
		return []Finding{found("credentials-unreadable", c.String(), err.Error(), "if the files are damaged: "+rotate)}
	}
	list := p.checkReadable(ctx, "credentials-unreadable", c.String(), filesOf(c, id)...)
	if id.CertFile == "" {
		return list
	}
	left := time.Until(id.NotAfter)
	switch {
	case left <= 0:
		return append(list, found("credentials-expired", c.String(), fmt.Sprintf("%s expired on %s", id.CertFile, day(id.NotAfter)), rotate))
	case left < soon:
		return append(list, found("credentials-expiring", c.String(), fmt.Sprintf("%s expires on %s", id.CertFile, day(id.NotAfter)), "systemctl restart k3s"))
	}
	return list
}

// filesOf are those that an identity came from.
func filesOf(c health.Check, id health.Identity) []string {
	key := c.KeyFile
	if c.Type == string(config.CheckK3s) {
		key = strings.TrimSuffix(id.CertFile, ".crt") + ".key"
	}
	return slices.DeleteFunc([]string{id.CAFile, id.CertFile, key}, func(f string) bool { return f == "" })
}

// checkReadable asks whether the agent can read what root can: it is another user, to whom
// its unit shows not all of the file system. Without an agent there is nobody to ask for.
func (p *patient) checkReadable(ctx context.Context, id, subject string, files ...string) []Finding {
	pid, err := p.Agent.Process(ctx)
	if err != nil {
		return nil
	}
	for _, f := range files {
		why, err := p.Kernel.Unreadable(ctx, pid, f)
		if err != nil || why == "" {
			continue
		}
		remedy := "give the unit its CAP_DAC_READ_SEARCH back, see systemctl cat vipd, or let the user vipd read it"
		if strings.Contains(why, "No such file") { // and root has read it
			remedy = "the unit hides /home, /root and /tmp: move it to /etc/vipd, and mend " + p.ConfigPath
		}
		return []Finding{found(id, subject, fmt.Sprintf("root can read %s, and the agent cannot (process %d): %s", f, pid, why), remedy)}
	}
	return nil
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }

func checkAPI(ctx context.Context, p *patient) ([]Finding, error) {
	probes, err := p.probes()
	if err != nil {
		return nil, err
	}
	var list []Finding
	for _, c := range probes {
		id, err := p.Secrets.Identity(c)
		if err != nil {
			return list, errors.New("needs the credentials of " + c.String())
		}
		list = append(list, p.ask(ctx, c, id)...)
	}
	return list, nil
}

// ask asks what the probe asks.
func (p *patient) ask(ctx context.Context, c health.Check, id health.Identity) []Finding {
	target, want := c.URL, http.StatusOK
	if c.Type == string(config.CheckK3s) {
		target = strings.TrimSuffix(c.URL, "/") + "/readyz?verbose"
	} else if c.ExpectStatus != 0 {
		want = c.ExpectStatus
	}
	status, body, err := p.API.Get(ctx, id, target)
	var untrusted *tls.CertificateVerificationError
	switch {
	case errors.As(err, &untrusted):
		return []Finding{found("api-untrusted", c.String(), untrusted.Err.Error(), "mend data_dir or ca_file in "+p.ConfigPath+"; if it has expired: "+rotate)}
	case err != nil:
		return []Finding{found("api-unreachable", c.String(), reason(err), "systemctl status k3s; journalctl -u k3s -n 50")}
	case status == want:
		return nil
	case status == http.StatusUnauthorized:
		return []Finding{found("api-unauthorized", c.String(), "401: it does not know "+identity(id), "is data_dir that of this K3s? Then: systemctl restart k3s")}
	case status == http.StatusForbidden:
		return []Finding{found("api-forbidden", c.String(), "403: it does not let "+identity(id)+" read "+pathOf(target), "have K3s restore its default roles: systemctl restart k3s")}
	}
	return []Finding{found("api-unready", c.String(), fmt.Sprintf("%d: %s", status, failedChecks(body)),
		"journalctl -u k3s -n 50; with embedded etcd a majority of the servers has to run")}
}

func identity(id health.Identity) string {
	if id.CertFile == "" {
		return "a client without a certificate"
	}
	return "the certificate " + id.CertFile
}

func pathOf(target string) string {
	u, err := url.Parse(target)
	if err != nil {
		return target
	}
	return u.Path
}

// reason leaves the request out of an error of net/http.
func reason(err error) string {
	var u *url.Error
	if errors.Is(err, context.DeadlineExceeded) {
		return fmt.Sprintf("no answer within %v", askTimeout)
	}
	if errors.As(err, &u) {
		return u.Err.Error()
	}
	return err.Error()
}

// few is how many names a line has room for.
const few = 4

// failedChecks names the checks of an answer of /readyz that failed.
func failedChecks(body []byte) string {
	var failed []string
	for line := range strings.Lines(string(body)) {
		if name, ok := strings.CutPrefix(line, "[-]"); ok {
			name, _, _ = strings.Cut(name, " ")
			failed = append(failed, strings.TrimSpace(name))
		}
	}
	if len(failed) == 0 {
		return "it is not ready"
	}
	if len(failed) > few {
		failed = append(failed[:few], "...")
	}
	return "failed checks: " + strings.Join(failed, ", ")
}

func checkCertificate(ctx context.Context, p *patient) ([]Finding, error) {
	cfg, err := p.cfg()
	if err != nil {
		return nil, errNoConfig
	}
	probes, err := p.probes()
	if err != nil {
		return nil, err
	}
	var list []Finding
	for _, c := range probes {
		if c.Type != string(config.CheckK3s) {
			continue
		}
		cert, err := p.API.Certificate(ctx, c.URL)
		if err != nil {
			return list, fmt.Errorf("look at the certificate of %s: %s", c.URL, reason(err))
		}
		list = append(list, p.judgeCertificate(c.String(), cert, cfg.VIPs)...)
	}
	return list, nil
}

func (p *patient) judgeCertificate(subject string, cert *x509.Certificate, vips []config.VIP) []Finding {
	var (
		all     []netip.Addr
		missing []string
	)
	known := ""
	for _, v := range vips {
		all = append(all, v.Addresses...)
		for _, a := range v.Addresses {
			if cert.VerifyHostname(a.String()) != nil {
				missing = append(missing, a.String())
				known += p.wanted(a)
			}
		}
	}
	var list []Finding
	if len(missing) > 0 {
		add := k3s.AddSAN(p.k3sOptions(k3s.DropIn)["tls-san"], all)
		list = append(list, found("certificate-lacks-vip", subject, "the API server's certificate does not name "+strings.Join(missing, ", ")+known,
			fmt.Sprintf("on each server: %s (the same as --tls-san), then %s", add, rotate)))
	}
	if left := time.Until(cert.NotAfter); left < soon {
		list = append(list, found("certificate-expiring", subject, "the API server's certificate ends on "+day(cert.NotAfter), "systemctl restart k3s"))
	}
	return list
}

// wanted adds what K3s was told already.
func (p *patient) wanted(a netip.Addr) string {
	for _, f := range p.k3sFiles() {
		if slices.Contains(p.k3sOptions(f)["tls-san"], a.String()) {
			return "; tls-san in " + filepath.Base(f) + " has " + a.String() + " already"
		}
	}
	return ""
}
