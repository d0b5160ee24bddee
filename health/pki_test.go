package health

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// authority is a CA of a test.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t testing.TB, name string) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	tmpl := template(name, time.Now().Add(time.Hour))
	tmpl.IsCA, tmpl.BasicConstraintsValid, tmpl.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, tmpl, tmpl, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t: t, cert: cert, key: key}
}

func template(name string, until time.Time) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    until.Add(-365 * 24 * time.Hour),
		NotAfter:     until,
		ExtKeyUsage:  []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
}

// issue returns a certificate for the given addresses, and its key, in PEM.
func (a *authority) issue(name string, until time.Time, addrs ...net.IP) (certPEM, keyPEM []byte) {
	a.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		a.t.Fatal(err)
	}
	tmpl := template(name, until)
	tmpl.IPAddresses = addrs
	der, err := x509.CreateCertificate(rand.Reader, tmpl, a.cert, &key.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		a.t.Fatal(err)
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", keyDER)
}

func (a *authority) pair(name string, until time.Time, addrs ...net.IP) tls.Certificate {
	a.t.Helper()
	pair, err := tls.X509KeyPair(a.issue(name, until, addrs...))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func (a *authority) pem() []byte { return block("CERTIFICATE", a.cert.Raw) }

func (a *authority) pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

func block(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

// k3sFiles is a data directory as K3s lays it out.
type k3sFiles struct {
	t   testing.TB
	dir string
}

func newK3sFiles(t testing.TB) k3sFiles {
	t.Helper()
	f := k3sFiles{t: t, dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(f.dir, "server", "tls"), 0o700); err != nil {
		t.Fatal(err)
	}
	return f
}

func (f k3sFiles) path(name string) string { return filepath.Join(f.dir, "server", "tls", name) }

func (f k3sFiles) write(name string, data []byte) {
	f.t.Helper()
	if err := os.WriteFile(f.path(name), data, 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// writeClient puts a component's certificate, issued by a, into the directory.
func (f k3sFiles) writeClient(a *authority, name string, until time.Time) {
	f.t.Helper()
	cert, key := a.issue(name, until)
	f.write(name+".crt", cert)
	f.write(name+".key", key)
}
