package agent

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// A whole agent is scraped, through a socket and a port, and follows its configuration.
func TestMetrics(t *testing.T) {
	wired(t)
	socket := filepath.Join(t.TempDir(), "m.sock")
	n := start(t, oneVIP+"[metrics]\nlisten = \"unix:"+socket+"\"\n")
	n.active("k3s", "198.51.100.100")

	router := `{vip="k3s",family="IPv4"}`
	within(t, 5*time.Second, "three renewals", func() bool {
		return scrape(t, "unix", socket)["vipd_router_lease_margin_seconds_count"+router] >= 3
	})
	got := scrape(t, "unix", socket)
	for series, want := range map[string]float64{
		`vipd_router_state{vip="k3s",family="IPv4",state="Active"}`:                                   1,
		`vipd_router_state{vip="k3s",family="IPv4",state="Backup"}`:                                   0,
		`vipd_router_holding` + router:                                                                1,
		`vipd_router_priority` + router:                                                               200,
		`vipd_health_grade{grade="ready"}`:                                                            1,
		`vipd_router_transitions_total{vip="k3s",family="IPv4",cause="silence"}`:                      1,
		`vipd_router_adverts_refused_total{vip="k3s",family="IPv4",reason="ip-ttl-errors"}`:           0,
		`vipd_router_info{vip="k3s",family="IPv4",vrid="51",interface="vipd0",source="198.51.100.1"}`: 1,
		`vipd_check_probe_duration_seconds_count{type="none",check="1 none",result="success"}`:        1,
		`vipd_drained`: 0,
	} {
		if v, ok := got[series]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", series, v, ok, want)
		}
	}
	for _, series := range []string{"vipd_router_adverts_sent_total" + router, "vipd_router_timer_lateness_seconds_count" + router, "process_resident_memory_bytes"} {
		if got[series] == 0 {
			t.Errorf("%s is 0", series)
		}
	}

	port := freePort(t)
	n.reload(oneVIP + "[metrics]\nlisten = \"" + port + "\"\n")
	if scrape(t, "tcp", port)["vipd_router_holding"+router] != 1 {
		t.Error("on the port the VIP is not held")
	}
	if scrape(t, "unix", socket) != nil {
		t.Error("the socket still answers")
	}
	n.reload(oneVIP)
	if scrape(t, "tcp", port) != nil {
		t.Error("switched off, the port still answers")
	}
}

// A port that somebody has changes nothing on a reload, and at the start keeps nothing
// but the metrics from being.
func TestMetricsTaken(t *testing.T) {
	wired(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer taken.Close()
	there := oneVIP + fmt.Sprintf("[metrics]\nlisten = %q\n", taken.Addr())

	n := start(t, there)
	n.active("k3s", "198.51.100.100")

	port := freePort(t)
	n.reload(oneVIP + fmt.Sprintf("[metrics]\nlisten = %q\n", port))
	n.configure(strings.Replace(there, "vrid = 51", "vrid = 52", 1))
	_, err = n.Reload(t.Context())
	if err == nil || !strings.Contains(err.Error(), "nothing was changed: serve metrics: another program listens on "+taken.Addr().String()) {
		t.Errorf("reload: %v", err)
	}
	if n.routerOf("k3s").VRID != 51 || scrape(t, "tcp", port) == nil {
		t.Error("the reload changed something")
	}
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// scrape returns the samples by their series, or nil if nobody listens.
func scrape(t *testing.T, network, address string) map[string]float64 {
	t.Helper()
	client := http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	}}
	res, err := client.Get("http://localhost/metrics")
	if err != nil {
		return nil
	}
	defer res.Body.Close()
	got := make(map[string]float64)
	for lines := bufio.NewScanner(res.Body); lines.Scan(); {
		at := strings.LastIndexByte(lines.Text(), ' ')
		if v, err := strconv.ParseFloat(lines.Text()[at+1:], 64); err == nil && !strings.HasPrefix(lines.Text(), "#") {
			got[lines.Text()[:at]] = v
		}
	}
	return got
}
