package metrics

import (
	"testing"

	"go.yaml.in/yaml/v3"
)

// Each alert is seen to come where it should, and to stay away where all is well:
// promtool runs what is counted here.
func TestRulesAreTested(t *testing.T) {
	var rules struct {
		Groups []struct{ Rules []struct{ Alert string } }
	}
	read(t, "../../packaging/prometheus/vipd.rules.yml", yaml.Unmarshal, &rules)
	var file struct {
		Tests []struct {
			Checks []struct {
				Alert    string `yaml:"alertname"`
				Expected []any  `yaml:"exp_alerts"`
			} `yaml:"alert_rule_test"`
		}
	}
	read(t, "testdata/vipd.rules.test.yml", yaml.Unmarshal, &file)
	comes, stays := make(map[string]bool), make(map[string]bool)
	for _, test := range file.Tests {
		for _, c := range test.Checks {
			comes[c.Alert] = comes[c.Alert] || len(c.Expected) > 0
			stays[c.Alert] = stays[c.Alert] || len(c.Expected) == 0
		}
	}
	known := 0
	for _, g := range rules.Groups {
		for _, r := range g.Rules {
			known++
			if !comes[r.Alert] || !stays[r.Alert] {
				t.Errorf("%s is tested to come: %t, to stay away: %t", r.Alert, comes[r.Alert], stays[r.Alert])
			}
		}
	}
	if known == 0 || len(comes) != known {
		t.Errorf("%d alerts are tested, of %d", len(comes), known)
	}
}
