package pki

import (
	"crypto/x509"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnsureLaysOutK3sFiles(t *testing.T) {
	data := filepath.Join(t.TempDir(), "k3s")
	ensure(t, Config{DataDir: data})

	want := map[string]fs.FileMode{"server": 0o700, "server/tls": 0o700}
	for _, name := range []string{
		"server-ca", "client-ca", "client-admin", "client-kube-proxy", "client-scheduler",
		"client-controller", "serving-kube-apiserver",
	} {
		want["server/tls/"+name+".crt"] = 0o644
		want["server/tls/"+name+".key"] = 0o600
	}
	got := map[string]fs.FileMode{}
	err := filepath.WalkDir(data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == data {
			return err
		}
		info, err := d.Info()
		got[strings.TrimPrefix(path, data+"/")] = info.Mode().Perm()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("files (-want +got):\n%s", diff)
	}
}

func TestCertificates(t *testing.T) {
	data := t.TempDir()
	ensure(t, Config{DataDir: data, SANs: []string{"203.0.113.9", "2001:db8::9", "node1"}})
	id, err := Load(data)
	if err != nil {
		t.Fatal(err)
	}
	servers := x509.NewCertPool()
	servers.AppendCertsFromPEM(id.ServerCA)
	for _, name := range []string{"127.0.0.1", "203.0.113.9", "2001:db8::9", "node1", "kubernetes.default.svc"} {
		if _, err := id.Certificate.Leaf.Verify(x509.VerifyOptions{Roots: servers, DNSName: name}); err != nil {
			t.Errorf("serving certificate for %s: %v", name, err)
		}
	}
	for name, groups := range map[string][]string{"client-admin": {MastersGroup}, "client-kube-proxy": nil} {
		leaf := readLeaf(t, data, name)
		usage := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: id.ClientCAs, KeyUsages: usage}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := leaf.Verify(x509.VerifyOptions{Roots: servers, KeyUsages: usage}); err == nil {
			t.Errorf("%s: signed by the server CA, K3s has two", name)
		}
		if diff := cmp.Diff(groups, leaf.Subject.Organization); diff != "" {
			t.Errorf("%s: groups (-want +got):\n%s", name, diff)
		}
	}
}

func TestEnsureAgain(t *testing.T) {
	tests := []struct {
		name   string
		second Config
		spoil  string // file removed in between
		want   []string
	}{
		{name: "nothing to do"},
		{name: "another name", second: Config{SANs: []string{"203.0.113.9"}}, want: []string{"serving-kube-apiserver.crt", "serving-kube-apiserver.key"}},
		{name: "key lost", spoil: "client-admin.key", want: []string{"client-admin.crt", "client-admin.key"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			data := t.TempDir()
			ensure(t, Config{DataDir: data})
			before := contents(t, data)
			if tt.spoil != "" {
				if err := os.Remove(filepath.Join(TLSDir(data), tt.spoil)); err != nil {
					t.Fatal(err)
				}
			}
			tt.second.DataDir = data
			ensure(t, tt.second)
			var changed []string
			for _, e := range entries(t, data) {
				if before[e] != contents(t, data)[e] {
					changed = append(changed, e)
				}
			}
			if diff := cmp.Diff(tt.want, changed); diff != "" {
				t.Errorf("changed files (-want +got):\n%s", diff)
			}
		})
	}
}

func TestNodesThatStartTogetherShareAuthorities(t *testing.T) {
	root := t.TempDir()
	ca := filepath.Join(root, "ca")
	nodes := []string{"a", "b", "c", "d"}
	var wg sync.WaitGroup
	for _, n := range nodes {
		wg.Go(func() {
			if err := Ensure(Config{DataDir: filepath.Join(root, n), CADir: ca}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	want := readLeaf(t, filepath.Join(root, "a"), serverCA)
	for _, n := range nodes {
		if !readLeaf(t, filepath.Join(root, n), serverCA).Equal(want) {
			t.Errorf("%s has an authority of its own", n)
		}
	}
	left, err := filepath.Glob(filepath.Join(root, ".ca-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func ensure(t *testing.T, c Config) {
	t.Helper()
	if err := Ensure(c); err != nil {
		t.Fatal(err)
	}
}

func readLeaf(t *testing.T, dataDir, name string) *x509.Certificate {
	t.Helper()
	a, err := loadAuthority(TLSDir(dataDir), name)
	if err != nil {
		t.Fatal(err)
	}
	return a.cert
}

func entries(t *testing.T, dataDir string) []string {
	t.Helper()
	list, err := os.ReadDir(TLSDir(dataDir))
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

func contents(t *testing.T, dataDir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	for _, e := range entries(t, dataDir) {
		b, err := os.ReadFile(filepath.Join(TLSDir(dataDir), e))
		if err != nil {
			t.Fatal(err)
		}
		out[e] = string(b)
	}
	return out
}
