package health

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// k3sClients are certificates that K3s keeps for its own components, the least
// powerful first. Each may read /readyz.
func k3sClients() []string {
	return []string{"client-kube-proxy", "client-scheduler", "client-controller", "client-admin"}
}

// credentials is what a TLS connection is made with, and where it came from.
type credentials struct {
	config   *tls.Config
	caFile   string // "" for the system's
	certFile string // "" for none
	notAfter time.Time
}

// k3sCredentials loads the server's CA and the first client certificate that can
// be read.
func (c Check) k3sCredentials(serverName string) (*credentials, error) {
	dir := filepath.Join(c.DataDir, "server", "tls")
	creds := &credentials{config: &tls.Config{ServerName: serverName, MinVersion: tls.VersionTLS12}}
	if err := creds.trust(filepath.Join(dir, "server-ca.crt")); err != nil {
		return nil, err
	}
	var why error
	for _, name := range k3sClients() {
		err := creds.present(filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key"))
		if err == nil {
			return creds, nil
		}
		// A missing one says less than one that is there and of no use.
		if why == nil || errors.Is(why, fs.ErrNotExist) && !errors.Is(err, fs.ErrNotExist) {
			why = err
		}
	}
	return nil, why
}

// credentials loads what an https check names.
func (c Check) credentials(serverName string) (*credentials, error) {
	creds := &credentials{config: &tls.Config{ServerName: serverName, MinVersion: tls.VersionTLS12, InsecureSkipVerify: c.InsecureSkipVerify}}
	if c.CAFile != "" {
		if err := creds.trust(c.CAFile); err != nil {
			return nil, err
		}
	}
	if c.CertFile != "" {
		if err := creds.present(c.CertFile, c.KeyFile); err != nil {
			return nil, err
		}
	}
	return creds, nil
}

// trust accepts servers whose certificate is signed by the CA in file.
func (c *credentials) trust(file string) error {
	pem, err := read(file)
	if err != nil {
		return err
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return &fault{words: file + " holds no certificate"}
	}
	c.config.RootCAs, c.caFile = pool, file
	return nil
}

// present shows the client certificate in the two files to the server.
func (c *credentials) present(certFile, keyFile string) error {
	certPEM, err := read(certFile)
	if err != nil {
		return err
	}
	keyPEM, err := read(keyFile)
	if err != nil {
		return err
	}
	pair, err := tls.X509KeyPair(certPEM, keyPEM)
	if err != nil {
		return &fault{fmt.Sprintf("%s and its key cannot be used: %v", certFile, err), err}
	}
	// Shown to servers that would not accept it too: their refusal says more than
	// the silence of a client without a certificate.
	c.config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &pair, nil }
	c.certFile, c.notAfter = certFile, pair.Leaf.NotAfter
	return nil
}

// read reads a file, or says what to do.
func read(file string) ([]byte, error) {
	data, err := os.ReadFile(file)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil, &fault{file + " is missing: the server has not been started yet, or the path is wrong", err}
	case errors.Is(err, fs.ErrPermission):
		return nil, &fault{file + " may not be read: run vipd as root", err}
	case err != nil:
		return nil, &fault{err.Error(), err}
	}
	return data, nil
}

func (c *credentials) authority() string {
	if c.caFile == "" {
		return "an authority that this system trusts"
	}
	return c.caFile
}

func (c *credentials) identity() string {
	if c.certFile == "" {
		return "a client without a certificate"
	}
	return "the certificate " + c.certFile
}

// refusal says why a server may not accept the client.
func (c *credentials) refusal(now time.Time) string {
	switch {
	case c.certFile == "":
		return "it asks for a client certificate"
	case now.After(c.notAfter):
		return fmt.Sprintf("the client certificate %s expired on %s: restart the server to renew it", c.certFile, day(c.notAfter))
	}
	return fmt.Sprintf("the client certificate %s is not accepted: does it belong to this server?", c.certFile)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
