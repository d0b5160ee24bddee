package metrics

import (
	"log/slog"
	"net/http/httptest"
	"testing"
	"time"
)

type fixed Snapshot

func (f fixed) Metrics() Snapshot { return Snapshot(f) }

// anAgent is one with a check and a router in each family, and something in each field.
func anAgent() fixed {
	quick := NewHistogram(100*time.Millisecond, time.Second)
	quick.Observe(50 * time.Millisecond)
	quick.Observe(2 * time.Second)
	r := Router{
		VIP: "k3s", Family: "IPv4", VRID: 51, Interface: "eth0", Source: "198.51.100.1", State: "Active",
		Since: time.Unix(1790000000, 500e6), Holding: true, Grade: "ready", Priority: 200, Configured: 200,
		Interval: 250 * time.Millisecond, Peers: 2, Transitions: map[string]uint64{"silence": 2, "left": 0}, Conflicts: 1,
		Sent: 10, LeavesSent: 1, SendErrors: 2, Received: 5, LeavesReceived: 1, Refused: map[string]uint64{"ip-ttl-errors": 3},
		Overflow: 1, Unsigned: 4, ChecksumPseudoHeader: 5, Gap: quick.Read(), LeaseMargin: quick.Read(), Lateness: quick.Read(),
	}
	six := r
	six.Family, six.State, six.Holding, six.Mute, six.Problems = "IPv6", "Backup", false, true, 1
	return fixed{
		Version: "1.2.3", Drained: true, Problems: 1, Grade: "degraded", Settled: true, Hold: time.Second,
		Checks:  []Check{{Type: "k3s", Name: "1 k3s https://127.0.0.1:6443", Grade: "degraded", Succeeded: quick.Read(), Failed: quick.Read()}},
		Routers: []Router{r, six},
		Routes: []Route{{VIP: "routed", Family: "IPv4", Interface: "lo", Standing: "leaving", State: "Active", Grade: "down",
			Since: time.Unix(1790000000, 0), Holding: true, Problems: 1}},
		Sessions: []Session{{Peer: "203.0.113.1", AS: "64600", State: "Established", BFD: "up", Routes: 1, Hold: 3 * time.Second, Established: 2, Dropped: 1, Failed: map[string]uint64{"refused": 4, "disagreed": 0},
			Sent: 20, Received: 30, UpdatesSent: 4, UpdatesReceived: 5, Malformed: 1, NotificationsSent: 1, NotificationsReceived: 2}},
	}
}

// scrape returns what Prometheus is told.
func scrape(t *testing.T, s Source) string {
	t.Helper()
	h := NewHandler(s, slog.New(slog.DiscardHandler))
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), "GET", "/metrics", nil))
	if w.Code != 200 {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
	return w.Body.String()
}
