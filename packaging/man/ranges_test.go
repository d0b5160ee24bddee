package man_test

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// least holds, for each table that has options with a range, the least that makes it
// valid, with a place for one more line in the table.
var least = map[string]string{
	"vip.":   "[[vip]]\naddresses = [\"192.0.2.100\"]\n%s\n",
	"check.": plainVIP + "[[check]]\ntype = \"k3s\"\n%s\n",
	"https.": plainVIP + "[[check]]\ntype = \"https\"\nurl = \"https://127.0.0.1\"\n%s\n",
	"auth.":  plainVIP + "[auth]\nkeys = [{ id = 1, credential = \"vrrp\" }]\n%s\n",
	"keys.":  plainVIP + "[auth]\nkeys = [{ credential = \"vrrp\", %s }]\n",
	"bgp.":   routedVIP + "[bgp]\n%s\n" + plainPeer,
	"peer.":  routedVIP + "[bgp]\nlocal_as = 64512\n" + plainPeer + "%s\n",
	"hook.":  plainVIP + "[[hook]]\non = [\"active\"]\ncommand = [\"/usr/bin/true\"]\n%s\n",
}

const plainVIP = "[[vip]]\naddresses = [\"192.0.2.100\"]\nvrid = 51\n"

const (
	routedVIP = "[[vip]]\nmode = \"bgp\"\naddresses = [\"192.0.2.100\"]\n"
	plainPeer = "[[bgp.peer]]\naddress = \"203.0.113.1\"\nas = 64600\n"
)

// TestRanges: the program takes both ends of each range on the page, and nothing
// beyond them.
func TestRanges(t *testing.T) {
	p := readPage(t, "vipd.toml.5")
	ends := regexp.MustCompile(`^Ic \w+ No \((number|duration), ([\d.]+\w*) to ([\d.]+\w*)`)
	n := 0
	for name, o := range p.options(t) {
		m := ends.FindStringSubmatch(o.text)
		if m == nil {
			continue
		}
		n++
		parts := strings.Split(name, ".")
		file := least[parts[len(parts)-2]+"."]
		if parts[len(parts)-1] != "vrid" {
			file = strings.Replace(file, "[\"192.0.2.100\"]\n%s", "[\"192.0.2.100\"]\nvrid = 51\n%s", 1)
		}
		if parts[len(parts)-1] != "local_as" {
			file = strings.Replace(file, "[bgp]\n%s", "[bgp]\nlocal_as = 64512\n%s", 1)
		}
		low, high := around(t, m[1], m[2], -1), around(t, m[1], m[3], 1)
		for value, code := range map[string]int{low[0]: 0, low[1]: 1, high[0]: 0, high[1]: 1} {
			line := parts[len(parts)-1] + " = " + value
			if got := checked(t, fmt.Sprintf(file, line)); got.code != code {
				t.Errorf("%s: vipd check exits %d, want %d: %s", line, got.code, code, got.stderr)
			}
		}
	}
	if n < 12 {
		t.Errorf("only %d ranges were found on the page", n)
	}
}

// around returns a limit, and what is just beyond it, as vipd.toml has them.
func around(t *testing.T, kind, limit string, step int) [2]string {
	t.Helper()
	if kind == "number" {
		v, err := strconv.Atoi(limit)
		if err != nil {
			t.Fatal(err)
		}
		return [2]string{limit, strconv.Itoa(v + step)}
	}
	d, err := time.ParseDuration(limit)
	if err != nil {
		t.Fatal(err)
	}
	// 10ms is the step of advert_interval.
	return [2]string{strconv.Quote(limit), strconv.Quote((d + time.Duration(step)*min(10*time.Millisecond, max(d, time.Millisecond))).String())}
}
