package test

import (
	"encoding/json"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/vrrp"
)

// TestDocumentedNames wants the names that programs go by in the documents of the
// control socket: causes of transitions, and counters.
func TestDocumentedNames(t *testing.T) {
	var codes []string
	for c := vrrp.CauseStartup; c <= vrrp.CauseWithheld; c++ {
		codes = append(codes, c.String())
	}
	if diff := cmp.Diff(codes, schemaCodes(t)); diff != "" {
		t.Errorf("codes (-vrrp +docs/status.schema.json):\n%s", diff)
	}
	names := codes
	for _, r := range vrrp.Reasons() {
		names = append(names, r.String())
	}
	text, err := os.ReadFile("../docs/control.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if !strings.Contains(string(text), "`"+name+"`") {
			t.Errorf("docs/control.md does not explain %s", name)
		}
	}
}

// schemaCodes returns the codes of events that the schema allows.
func schemaCodes(t *testing.T) []string {
	t.Helper()
	text, err := os.ReadFile("../docs/status.schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var schema struct {
		Defs struct {
			Event struct {
				Properties struct {
					Code struct{ Enum []string }
				}
			}
		} `json:"$defs"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	return schema.Defs.Event.Properties.Code.Enum
}
