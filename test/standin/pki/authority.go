package pki

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// Lifetimes as K3s has them. Certificates begin an hour ago: the clocks of a
// test's machines need not agree.
const (
	caLife   = 10 * 365 * 24 * time.Hour
	leafLife = 365 * 24 * time.Hour
	backdate = time.Hour
)

// authority is a certificate authority and its key.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// authorities loads the two authorities from dir. If dir is missing or empty they are
// made there: of several nodes that start at once, all end up with the same pair.
func authorities(dir string) (server, client *authority, err error) {
	if err := createAuthorities(dir); err != nil {
		return nil, nil, fmt.Errorf("make certificate authorities: %w", err)
	}
	if server, err = loadAuthority(dir, serverCA); err != nil {
		return nil, nil, err
	}
	client, err = loadAuthority(dir, clientCA)
	return server, client, err
}

// createAuthorities makes both beside dir and moves them there in one step,
// which fails if somebody was faster: then theirs are as good.
func createAuthorities(dir string) error {
	if _, err := os.Stat(certPath(dir, serverCA)); err == nil {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return err
	}
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".ca-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	for _, name := range []string{serverCA, clientCA} {
		a, err := newAuthority("k3s-" + name)
		if err != nil {
			return err
		}
		if err := a.write(tmp, name); err != nil {
			return err
		}
	}
	// os.Rename refuses any directory that exists; the kernel only one that is not empty.
	if err := unix.Rename(tmp, dir); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("rename %s to %s: %w", tmp, dir, err)
	}
	return nil
}

func newAuthority(name string) (*authority, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	t := &x509.Certificate{
		Subject:               pkix.Name{CommonName: name},
		NotBefore:             now.Add(-backdate),
		NotAfter:              now.Add(caLife),
		KeyUsage:              x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature,
		BasicConstraintsValid: true,
		IsCA:                  true,
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, err
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	return &authority{cert: cert, key: key}, nil
}

func loadAuthority(dir, name string) (*authority, error) {
	pair, err := tls.LoadX509KeyPair(certPath(dir, name), keyPath(dir, name))
	if err != nil {
		return nil, fmt.Errorf("load certificate authority %s: %w", name, err)
	}
	key, ok := pair.PrivateKey.(*ecdsa.PrivateKey)
	if !ok {
		return nil, fmt.Errorf("load certificate authority %s: its key is not ECDSA", name)
	}
	return &authority{cert: pair.Leaf, key: key}, nil
}

// write puts the authority's certificate and key into dir.
func (a *authority) write(dir, name string) error { return writePair(dir, name, a.cert.Raw, a.key) }

// ensure makes the certificate name in dir from t, unless a good one is there.
func (a *authority) ensure(dir, name string, t *x509.Certificate) error {
	pair, err := tls.LoadX509KeyPair(certPath(dir, name), keyPath(dir, name))
	if err == nil && a.vouches(pair.Leaf, t) {
		return nil
	}
	if err := a.issue(dir, name, t); err != nil {
		return fmt.Errorf("make certificate %s: %w", name, err)
	}
	return nil
}

// vouches reports whether a signed leaf, it is valid now, and has all the names of t.
func (a *authority) vouches(leaf, t *x509.Certificate) bool {
	roots := x509.NewCertPool()
	roots.AddCert(a.cert)
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: t.ExtKeyUsage}); err != nil {
		return false
	}
	for _, name := range t.DNSNames {
		if leaf.VerifyHostname(name) != nil {
			return false
		}
	}
	for _, ip := range t.IPAddresses {
		if leaf.VerifyHostname(ip.String()) != nil {
			return false
		}
	}
	return true
}

func (a *authority) issue(dir, name string, t *x509.Certificate) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	t.NotBefore, t.NotAfter = now.Add(-backdate), now.Add(leafLife)
	t.KeyUsage = x509.KeyUsageDigitalSignature
	der, err := x509.CreateCertificate(rand.Reader, t, a.cert, key.Public(), a.key)
	if err != nil {
		return err
	}
	return writePair(dir, name, der, key)
}

// writePair writes the key first, so that whoever sees the certificate finds its key.
func writePair(dir, name string, der []byte, key *ecdsa.PrivateKey) error {
	sec1, err := x509.MarshalECPrivateKey(key)
	if err != nil {
		return err
	}
	if err := writePEM(keyPath(dir, name), "EC PRIVATE KEY", sec1, 0o600); err != nil {
		return err
	}
	return writePEM(certPath(dir, name), "CERTIFICATE", der, 0o644)
}

// writePEM replaces the file in one step: a reader never sees half of it. A file
// that says the same already is left alone, so that it does not look renewed.
func writePEM(path, kind string, der []byte, mode fs.FileMode) error {
	data := pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
	if old, err := os.ReadFile(path); err == nil && string(old) == string(data) {
		return os.Chmod(path, mode)
	}
	tmp := path + ".new"
	if err := os.WriteFile(tmp, data, mode); err != nil {
		return err
	}
	if err := os.Chmod(tmp, mode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

func certPath(dir, name string) string { return filepath.Join(dir, name+".crt") }

func keyPath(dir, name string) string { return filepath.Join(dir, name+".key") }
