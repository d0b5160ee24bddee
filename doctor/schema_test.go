package doctor

import (
	"testing"

	"github.com/vipd/vipd/test/schema"
)

const schemaFile = "../docs/doctor.schema.json"

func TestSchemaFields(t *testing.T) {
	schema.Fields(t, schemaFile, map[string]any{"report": Report{}, "finding": Finding{}, "skipped": Skipped{}})
}

func TestSchemaDocuments(t *testing.T) {
	sick := healthy()
	for _, id := range []string{"unit-strange-k3s", "timer-late", "agent-down"} {
		each()[id](sick)
	}
	bad := Report{Findings: []Finding{{ID: "x", Severity: "fatal"}}, LeftOut: []Skipped{}}
	for name, tt := range map[string]struct {
		report Report
		bad    bool
	}{
		"sound":               {healthy().examine(t, Options{Listen: listen, Root: true}), false},
		"sick":                {sick.examine(t, Options{Listen: listen, Root: true}), false},
		"without root":        {healthy().examine(t, Options{}), false},
		"no lists":            {Report{}, true},
		"an unknown severity": {bad, true},
	} {
		if err := schema.Validate(t, schemaFile, "", tt.report); (err != nil) != tt.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}
