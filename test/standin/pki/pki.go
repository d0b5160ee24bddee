package pki

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"net"
	"os"
	"path/filepath"
)

// Config says what [Ensure] has to lay out.
type Config struct {
	DataDir string   // as K3s's --data-dir, such as /var/lib/rancher/k3s
	CADir   string   // where the nodes' common authorities are, made if missing; "" for authorities of this node's own
	SANs    []string // IP addresses and names that the serving certificate must have besides K3s's own
}

// Identity is what a server needs to serve and to know its clients.
type Identity struct {
	Certificate tls.Certificate // serving certificate and key
	ServerCA    []byte          // PEM of the authority that signed it
	ClientCAs   *x509.CertPool  // the authority that signs client certificates
}

// Names of the two authorities, as K3s names their files.
const (
	serverCA = "server-ca"
	clientCA = "client-ca"
	serving  = "serving-kube-apiserver"
)

// MastersGroup is the group that may do everything: the admin's.
const MastersGroup = "system:masters"

// TLSDir returns the directory of certificates and keys below a data directory.
func TLSDir(dataDir string) string { return filepath.Join(dataDir, "server", "tls") }

// Ensure writes what is missing or no longer good below the data directory: a
// certificate that its authority did not sign, that has expired, or that lacks a
// wanted name is made anew; the others stay as they are.
func Ensure(c Config) error {
	dir := TLSDir(c.DataDir)
	caDir := c.CADir
	if caDir == "" {
		caDir = dir
	}
	if err := mkdirs(dir); err != nil {
		return err
	}
	server, client, err := authorities(caDir)
	if err != nil {
		return err
	}
	for name, a := range map[string]*authority{serverCA: server, clientCA: client} {
		if err := a.write(dir, name); err != nil {
			return err
		}
	}
	if err := server.ensure(dir, serving, servingTemplate(c.SANs)); err != nil {
		return err
	}
	for name, t := range clientTemplates() {
		if err := client.ensure(dir, name, t); err != nil {
			return err
		}
	}
	return nil
}

// Load reads what a server needs from the data directory.
func Load(dataDir string) (Identity, error) {
	dir := TLSDir(dataDir)
	cert, err := tls.LoadX509KeyPair(certPath(dir, serving), keyPath(dir, serving))
	if err != nil {
		return Identity{}, fmt.Errorf("load serving certificate: %w", err)
	}
	ca, err := os.ReadFile(certPath(dir, serverCA))
	if err != nil {
		return Identity{}, fmt.Errorf("load server CA: %w", err)
	}
	clients, err := os.ReadFile(certPath(dir, clientCA))
	if err != nil {
		return Identity{}, fmt.Errorf("load client CA: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(clients) {
		return Identity{}, fmt.Errorf("load client CA: no certificate in %s", certPath(dir, clientCA))
	}
	return Identity{Certificate: cert, ServerCA: ca, ClientCAs: pool}, nil
}

// mkdirs makes server/tls below a data directory that others may look into, and
// closes both to all but their owner.
func mkdirs(dir string) error {
	if err := os.MkdirAll(filepath.Dir(filepath.Dir(dir)), 0o755); err != nil {
		return fmt.Errorf("make data directory: %w", err)
	}
	for _, d := range []string{filepath.Dir(dir), dir} {
		if err := os.MkdirAll(d, 0o700); err != nil {
			return fmt.Errorf("make certificate directory: %w", err)
		}
		if err := os.Chmod(d, 0o700); err != nil {
			return fmt.Errorf("close certificate directory: %w", err)
		}
	}
	return nil
}

// servingTemplate has the names that every K3s server's certificate has, and more.
func servingTemplate(sans []string) *x509.Certificate {
	t := &x509.Certificate{
		Subject:     pkix.Name{CommonName: "kube-apiserver"},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		DNSNames: []string{
			"kubernetes", "kubernetes.default", "kubernetes.default.svc",
			"kubernetes.default.svc.cluster.local", "localhost",
		},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback},
	}
	for _, san := range sans {
		if ip := net.ParseIP(san); ip != nil {
			t.IPAddresses = append(t.IPAddresses, ip)
			continue
		}
		t.DNSNames = append(t.DNSNames, san)
	}
	return t
}

func clientTemplates() map[string]*x509.Certificate {
	client := func(name string, groups ...string) *x509.Certificate {
		return &x509.Certificate{
			Subject:     pkix.Name{CommonName: name, Organization: groups},
			ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		}
	}
	return map[string]*x509.Certificate{
		"client-admin":      client("system:admin", MastersGroup),
		"client-kube-proxy": client("system:kube-proxy"),
		"client-scheduler":  client("system:kube-scheduler"),
		"client-controller": client("system:kube-controller-manager"),
	}
}
