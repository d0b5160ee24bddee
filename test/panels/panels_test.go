package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The picture in the documents is what was recorded, and the questions are still
// those of the dashboard.
func TestPublished(t *testing.T) {
	r, err := load("../../docs/panels.json")
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile("../../docs/panels.svg")
	if err != nil {
		t.Fatal(err)
	}
	if string(text) != r.draw().String() {
		t.Error("docs/panels.svg is out of date: go run ./test/panels")
	}
	panels, err := readDashboard("../../"+dashboardPath, keyPanels())
	if err != nil {
		t.Fatal(err)
	}
	asked := make(map[string][]string)
	for _, p := range panels {
		for _, q := range p.Targets {
			asked[p.Title] = append(asked[p.Title], q.Expr)
		}
	}
	recorded := make(map[string][]string)
	for _, s := range r.Panels {
		recorded[s.Title] = s.Asked
		if len(s.Series) == 0 {
			t.Errorf("the panel %q shows nothing", s.Title)
		}
	}
	if diff := cmp.Diff(asked, recorded); diff != "" {
		t.Errorf("record anew, with test/contain go run ./test/panels -record (-dashboard +recorded):\n%s", diff)
	}
}

// A panel without an answer, one with gaps, and values below 0 are drawn.
func TestDraw(t *testing.T) {
	r := &recording{Length: 60, Tool: "Prometheus <2>", Marks: []mark{{10, "a & b"}}, Panels: []shown{
		{Title: "states", Type: "state-timeline", Looks: map[string]look{"1": {"yes", "green"}, "0": {"no", "transparent"}},
			Series: []line{{Name: "n1", Points: [][2]float64{{0, 1}, {1, 1}, {2, 0}, {9, 1}}}, {Name: "n2"}}},
		{Title: "nothing", Type: "timeseries"},
		{Title: "rates", Type: "timeseries", Unit: "pps", Series: []line{{Name: "n1", Points: [][2]float64{{0, 4}, {1, 3}, {5, 2}}}, {Name: "n1", Points: [][2]float64{{0, -4}}}}},
		{Title: "third", Type: "timeseries", Unit: "s"},
	}}
	text := r.draw().String()
	for _, want := range []string{"1 a &amp; b", ">yes<", ">-4/s<", "Prometheus &lt;2&gt;"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the picture", want)
		}
	}
	if strings.Contains(text, "NaN") || strings.Contains(text, "Inf") {
		t.Error("a place is no number")
	}
	var rows []int
	for _, row := range r.rows() {
		rows = append(rows, len(row))
	}
	if diff := cmp.Diff([]int{1, 2, 1}, rows); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

func TestStretches(t *testing.T) {
	l := line{Points: [][2]float64{{0, 1}, {1, 1}, {2, 0}, {5, 0}, {6, 0}}}
	want := []stretch{{0, 2, 1}, {2, 3, 0}, {5, 7, 0}}
	if diff := cmp.Diff(want, l.stretches(), cmp.AllowUnexported(stretch{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestTarget(t *testing.T) {
	q := target{Expr: `sum(rate(x{job=~"$job", vip=~"$vip"}[$__rate_interval]))`, Legend: "{{vip}} {{ family }} {{instance}} sent"}
	if got, want := q.query(), `sum(rate(x{job=~".*", vip=~".*"}[5s]))`; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got := q.name(map[string]string{"vip": "k3s", "instance": "node1"}); got != "node1 sent" {
		t.Errorf("%q", got)
	}
	if _, err := readDashboard("../../"+dashboardPath, []string{"Nothing of the kind"}); err == nil {
		t.Error("a panel was found that is not there")
	}
}

func TestRelay(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "m.sock")
	r := &relay{sockets: map[string]string{"/node1": socket}}
	ask := func() *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/node1", nil))
		return w
	}
	if got := ask().Code; got != http.StatusBadGateway {
		t.Errorf("of an agent that is away: %d", got)
	}
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	agent := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("up 1\n")) }))
	agent.Listener.Close()
	agent.Listener = l
	agent.Start()
	defer agent.Close()
	if w := ask(); w.Code != http.StatusOK || w.Body.String() != "up 1\n" {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}
