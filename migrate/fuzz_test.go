package migrate

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// one is a source of a single file, which every pattern means.
type one struct{ text []byte }

func (o one) Read(string) ([]byte, error) { return o.text, nil }

func (o one) Match(pattern string) ([]string, error) {
	if pattern == "/none" {
		return nil, errors.New("no such file")
	}
	return []string{pattern}, nil
}

// Whatever the file, what comes out of it is a valid vipd.toml or an error, and no password
// of it is repeated.
func FuzzKeepalived(f *testing.F) {
	seed(f, "*.conf")
	f.Add([]byte("vrrp_instance \"a\x01b\" {\n interface \"\"\n virtual_ipaddress { ::ffff:198.51.100.1/100 fe80::1%eth0 }\n virtual_router_id 1\n}"))
	f.Add([]byte("$A=a\\\nb\n${A}{}}{ '\"\\"))
	f.Add([]byte("authentication { auth_pass s3cr3t }\nvrrp_instance a {\n authentication\n {\n auth_pass \"s3cr3t #!\"\n}\n auth_pass s3cr3t { s3cr3t-pass }\n virtual_ipaddress { 198.51.100.1 }\n}"))
	f.Fuzz(func(t *testing.T, text []byte) {
		plan, err := fromKeepalived(one{text}, "keepalived.conf", "k3s1")
		keepsSecret(t, renders(t, plan, err), wordsOfConf(text))
	})
}

func FuzzKubeVip(f *testing.F) {
	seed(f, "*.yaml")
	f.Add([]byte("image: kube-vip\nargs: [--bgp, --bgppeers, '[fe80::1%a]:1:s3cr3t', --peerAddress=203.0.113.1, --peerPass=s3cr3t]\nenv: [{name: address, value: 203.0.113.9}]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		plan, err := fromKubeVip("kube-vip.yaml", text)
		keepsSecret(t, renders(t, plan, err), wordsOfManifest(text))
	})
}

// renders returns all that vipd init would show and write.
func renders(t *testing.T, plan *Plan, err error) string {
	if err != nil {
		return err.Error()
	}
	for i := range plan.VIPs {
		if plan.VIPs[i].NeedsVRID() {
			plan.VIPs[i].Choose(uint8(255-i%200), 0, "free\nhere")
		}
	}
	const limit = 64 << 10 // a file that is larger may be too large for vipd
	text, err := plan.Render()
	if err != nil && size(plan) < limit {
		t.Errorf("%v\n%s", err, text)
	}
	return string(text) + saidOf(plan)
}

// words are those of a file: what is secret in it, and all the others.
type words struct{ secret, public []string }

// keepsSecret wants no password in the output that stands nowhere else in the file. Only
// those with a mark count, for others are part of what vipd says by chance.
func keepsSecret(t *testing.T, output string, w words) {
	t.Helper()
	for _, s := range w.secret {
		isPublic := func(p string) bool { return strings.Contains(p, s) }
		if strings.Contains(s, "s3cr3t") && strings.Contains(output, s) && !slices.ContainsFunc(w.public, isPublic) {
			t.Errorf("%q is in what it says:\n%s", s, output)
		}
	}
}

func wordsOfConf(text []byte) words {
	var w words
	list, err := newParser(one{text}, new(notes)).parse("keepalived.conf")
	if err != nil {
		return w
	}
	var walk func(list []*directive, secret bool)
	walk = func(list []*directive, secret bool) {
		for _, d := range list {
			w.public = append(w.public, d.name(), d.host)
			within := secret || d.name() == "auth_pass"
			kind := &w.public
			if within {
				kind = &w.secret
			}
			*kind = append(*kind, d.words[min(1, len(d.words)):]...)
			walk(d.block, within || d.name() == "authentication")
		}
	}
	walk(list, false)
	return w
}

func wordsOfManifest(text []byte) words {
	var w words
	d := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		if d.Decode(&doc) != nil {
			return w
		}
		w.walk(&doc, 0)
	}
}

func (w *words) walk(n *yaml.Node, depth int) {
	if depth > 100 {
		return
	}
	hidden := entry(n, "value")
	name := entry(n, "name")
	if name == nil || name.Value != "bgp_peerpass" && name.Value != "bgp_peers" {
		hidden = nil
	}
	before := ""
	for _, child := range n.Content {
		option, value, isOption := strings.Cut(child.Value, "=")
		switch {
		case isOption && (option == "--peerPass" || option == "--bgppeers"):
			w.hide(value)
		case child == hidden || before == "--peerPass" || before == "--bgppeers":
			w.hide(child.Value)
		default:
			w.public = append(w.public, child.Value)
		}
		before = child.Value
		w.walk(child, depth+1)
	}
}

// hide takes a password, or the parts of a list of peers. Of those an interface is public.
func (w *words) hide(value string) {
	w.secret = append(w.secret, value)
	for _, part := range strings.FieldsFunc(value, func(r rune) bool { return strings.ContainsRune(",:/;=[]", r) }) {
		if strings.Contains(part, "%") {
			w.public = append(w.public, part)
			continue
		}
		w.secret = append(w.secret, part)
	}
}

func size(plan *Plan) int {
	n := 0
	for _, c := range plan.Checks {
		for _, w := range c.Command {
			n += len(w)
		}
	}
	for _, h := range plan.Hooks {
		n += 64
		for _, w := range h.Command {
			n += len(w)
		}
	}
	if plan.BGP != nil {
		n += 512 * len(plan.BGP.Peers)
	}
	for _, v := range plan.VIPs {
		n += 64 * (len(v.Addresses) + len(v.Peers) + len(v.PriorityByHost) + 4)
	}
	return n
}

func seed(f *testing.F, pattern string) {
	f.Helper()
	files, err := filepath.Glob(filepath.Join("testdata", pattern))
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range files {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			f.Fatal(err)
		}
		f.Add(text)
	}
}
