package metrics

import (
	"encoding/json"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// The alerts, the dashboard and the page name only metrics, labels and values of labels
// that a scrape has, and the page all metrics.
func TestQueries(t *testing.T) {
	known := exported(t)
	queries := append(alerts(t), panels(t)...)
	if len(queries) < 30 {
		t.Fatalf("only %d queries were found", len(queries))
	}
	for _, q := range queries {
		for _, wrong := range known.wrong(q) {
			t.Errorf("%s: in %s", wrong, q)
		}
	}
}

// What this test is to find, it finds.
func TestQueriesWrong(t *testing.T) {
	known := exported(t)
	for query, want := range map[string]string{
		`vipd_no_such_thing > 0`:                            "no metric vipd_no_such_thing",
		`vipd_drained{vip="k3s"}`:                           "no label vip",
		`vipd_router_state{state="Master"}`:                 `no value Master of label state`,
		`sum by (colour) (vipd_router_priority)`:            "no label colour",
		`rate(vipd_router_lease_margin_seconds_bucket[5m])`: "",
		`vipd_router_lease_margin_seconds > 0`:              "no metric vipd_router_lease_margin_seconds",
	} {
		got := strings.Join(known.wrong(query), "; ")
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", query, got, want)
		}
	}
}

func TestPage(t *testing.T) {
	page, err := os.ReadFile("../../docs/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families() {
		if !strings.Contains(string(page), "`"+f.name+"`") {
			t.Errorf("docs/metrics.md does not name %s", f.name)
		}
	}
	all := exported(t)
	for _, name := range regexp.MustCompile(`\b(vipd|process|go)_[a-z_]+\b`).FindAllString(string(page), -1) {
		if _, histogram := all[name+"_count"]; all[name] == nil && !histogram {
			t.Errorf("docs/metrics.md names %s, which does not exist", name)
		}
	}
}

// series has the labels of each name, and those values of them that are one of a set.
type series map[string]map[string][]string

var (
	lineOf   = regexp.MustCompile(`^([a-z_]+)(?:\{(.*)\})? `)
	labelOf  = regexp.MustCompile(`([a-z_]+)(=~|!~|!=|=)"((?:[^"\\]|\\.)*)"`)
	selector = regexp.MustCompile(`\b((?:vipd|process|go)_[a-z_]+)(?:\{([^}]*)\})?`)
	grouping = regexp.MustCompile(`\b(?:by|on|ignoring|without) \(([^)]*)\)`)
)

// exported returns what a scrape has.
func exported(t *testing.T) series {
	t.Helper()
	all := make(series)
	for line := range strings.Lines(scrape(t, everything())) {
		m := lineOf.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		if all[m[1]] == nil {
			all[m[1]] = make(map[string][]string)
		}
		for _, l := range labelOf.FindAllStringSubmatch(m[2], -1) {
			all[m[1]][l[1]] = append(all[m[1]][l[1]], l[3])
		}
	}
	return all
}

// everything is anAgent with each cause and each reason that an alert may name. That
// they are those of the agent is tested there.
func everything() fixed {
	s := anAgent()
	for _, c := range []string{"silence", "left", "unfit", "preempt"} {
		s.Routers[0].Transitions[c] = 1
	}
	for _, r := range []string{"own-source", "vrid-errors"} {
		s.Routers[0].Refused[r] = 1
	}
	return s
}

// wrong returns what a query names and no scrape has.
func (s series) wrong(query string) []string {
	var out []string
	used := make(map[string]bool)
	for _, m := range selector.FindAllStringSubmatch(query, -1) {
		labels, ok := s[m[1]]
		if !ok {
			out = append(out, "no metric "+m[1])
			continue
		}
		for l := range labels {
			used[l] = true
		}
		for _, l := range labelOf.FindAllStringSubmatch(m[2], -1) {
			out = append(out, s.wrongLabel(m[1], l[1], l[3])...)
		}
	}
	for _, m := range grouping.FindAllStringSubmatch(query, -1) {
		for _, l := range strings.Split(m[1], ",") {
			if l = strings.TrimSpace(l); !used[l] && !given(l) {
				out = append(out, "no label "+l)
			}
		}
	}
	return out
}

func (s series) wrongLabel(name, label, value string) []string {
	if given(label) || strings.HasPrefix(value, "$") {
		return nil
	}
	values, ok := s[name][label]
	if !ok {
		return []string{"no label " + label + " of " + name}
	}
	if label == "le" {
		return nil // TestBuckets of the agent
	}
	for _, v := range strings.Split(value, "|") {
		if !slices.Contains(values, v) {
			return []string{"no value " + v + " of label " + label}
		}
	}
	return nil
}

// given reports whether Prometheus itself adds the label.
func given(label string) bool { return label == "job" || label == "instance" }

// alerts returns the expressions of the alert rules.
func alerts(t *testing.T) []string {
	t.Helper()
	var file struct {
		Groups []struct {
			Rules []struct {
				Alert, Expr         string
				Labels, Annotations map[string]string
			}
		}
	}
	read(t, "../../packaging/prometheus/vipd.rules.yml", yaml.Unmarshal, &file)
	var out []string
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			out = append(out, r.Expr)
			if r.Labels["severity"] == "" || r.Annotations["summary"] == "" || r.Annotations["description"] == "" {
				t.Errorf("%s has no severity, summary or description", r.Alert)
			}
		}
	}
	return out
}

// panels returns the expressions of the dashboard.
func panels(t *testing.T) []string {
	t.Helper()
	var file struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
		Templating struct{ List []struct{ Definition string } }
	}
	read(t, "../../packaging/grafana/vipd-dashboard.json", json.Unmarshal, &file)
	var out []string
	for _, p := range file.Panels {
		for _, x := range p.Targets {
			out = append(out, x.Expr)
		}
		if len(p.Targets) == 0 {
			t.Errorf("panel %q asks for nothing", p.Title)
		}
	}
	for _, v := range file.Templating.List {
		out = append(out, v.Definition)
	}
	return out
}

func read(t *testing.T, path string, decode func([]byte, any) error, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := decode(b, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}
