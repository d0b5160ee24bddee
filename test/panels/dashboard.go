package main

import (
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// panel is a panel of the dashboard, as far as it matters here.
type panel struct {
	Title   string
	Type    string
	Targets []target
	Field   struct {
		Defaults struct {
			Unit     string
			Mappings []struct{ Options map[string]look }
		}
	} `json:"fieldConfig"`
}

// target is a question of a panel, and how its answers are called.
type target struct {
	Expr   string
	Legend string `json:"legendFormat"`
}

// look is how a value is shown.
type look struct {
	Text  string `json:"text"`
	Color string `json:"color"`
}

// looks returns how the values of a panel are shown.
func (p panel) looks() map[string]look {
	all := make(map[string]look)
	for _, m := range p.Field.Defaults.Mappings {
		for value, l := range m.Options {
			all[value] = l
		}
	}
	return all
}

// readDashboard returns the panels with these titles, in their order.
func readDashboard(path string, titles []string) ([]panel, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the dashboard: %w", err)
	}
	var all struct{ Panels []panel }
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("read the dashboard: %w", err)
	}
	var chosen []panel
	for _, title := range titles {
		i := slices.IndexFunc(all.Panels, func(p panel) bool { return p.Title == title })
		if i < 0 {
			return nil, fmt.Errorf("the dashboard has no panel %q", title)
		}
		chosen = append(chosen, all.Panels[i])
	}
	return chosen, nil
}

// query is the question with Grafana's variables filled in: everything, by the second.
func (t target) query() string {
	return strings.NewReplacer("$job", ".*", "$vip", ".*", "$__rate_interval", "5s", "$__range", "1h").Replace(t.Expr)
}

var placeholder = regexp.MustCompile(`{{\s*(\w+)\s*}}`)

// name is what an answer is called. There is one VIP, of one family: of these nothing is said.
func (t target) name(labels map[string]string) string {
	name := placeholder.ReplaceAllStringFunc(t.Legend, func(s string) string {
		switch key := placeholder.FindStringSubmatch(s)[1]; key {
		case "vip", "family":
			return ""
		default:
			return labels[key]
		}
	})
	return strings.Join(strings.Fields(name), " ")
}
