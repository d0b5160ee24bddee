package migrate

import (
	"fmt"
	"strings"
	"testing"
)

// A file that was given by mistake may hold what nobody should see on a terminal.
func TestNothingOfAnotherFile(t *testing.T) {
	const shadow = "root:$6$s3cr3t$hash:19000:0:99999:7:::\ns3cr3tword\n*s3cr3t\ninclude s3cr3t\n"
	for name, text := range map[string]string{
		"a shadow file":   shadow,
		"an open block":   "s3cr3t {\n",
		"an alias":        "a: *s3cr3t\n",
		"a key":           "-----BEGIN PRIVATE KEY-----\ns3cr3t+/==\n",
		"a map that ends": "s3cr3t: {\n",
		"a directive":     "%s3cr3t\n---\n",
		"a tag":           "!!s3cr3t {a: b}\n!<s3cr3t",
	} {
		_, err := fromKeepalived(shelf{"/etc/k.conf": text}, "/etc/k.conf", "k3s1")
		refused(t, name, err)
		_, err = fromKubeVip("/etc/k.yaml", []byte(text))
		refused(t, name, err)
	}
}

func refused(t *testing.T, name string, err error) {
	t.Helper()
	if err == nil || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("%s: %v", name, err)
	}
}

// Among directives, what cannot be one is not repeated.
func TestWordsThatAreNoDirectives(t *testing.T) {
	text := "global_defs {\n vrrp_version 3\n s3cr3t-pass\n vrrp_garp_$s3cr3t\n s3cr3t" + strings.Repeat("x", 40) + "\n known_to_nobody\n}\n" +
		"@n2 s3cr3t+ x\nvrrp_instance a {\n virtual_router_id 5\n virtual_ipaddress { 198.51.100.1 }\n s3cr3t/\n @n2 s3cr3t= y\n}\ns3cr3t. {\n"
	plan, err := fromKeepalived(shelf{"/etc/k.conf": text}, "/etc/k.conf", "k3s1")
	if err != nil {
		t.Fatal(err)
	}
	said := saidOf(plan)
	if strings.Contains(said, "s3cr3t") || !strings.Contains(said, "known_to_nobody") {
		t.Error(said)
	}
}

func saidOf(plan *Plan) string {
	var b strings.Builder
	for _, n := range plan.Notes {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}

// Names of what the same is to be said of stand in one line, each once.
func TestGathered(t *testing.T) {
	n := new(notes)
	for i, what := range []string{"a", "b", "a", "c"} {
		n.gather(place{"k.conf", i + 1}, what, "do it")
	}
	n.gather(place{"other.conf", 7}, "d", "do it")
	n.gather(place{"k.conf", 9}, "e", "do nothing")
	const want = "k.conf:1: a, b, c: do it\nother.conf:7: d: do it\nk.conf:9: e: do nothing"
	if got := n.err(); got.Error() != want {
		t.Errorf("%v", got)
	}
}
