package doctor

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
)

const schemaFile = "../docs/doctor.schema.json"

// Each type has the fields of its definition, and the same ones are always there.
func TestSchemaFields(t *testing.T) {
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
			Required   []string       `json:"required"`
		} `json:"$defs"`
	}
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for name, document := range map[string]any{"report": Report{}, "finding": Finding{}, "skipped": Skipped{}} {
		var all, required, properties []string
		for f := range reflect.TypeOf(document).Fields() {
			field, options, _ := strings.Cut(f.Tag.Get("json"), ",")
			all = append(all, field)
			if options != "omitempty" {
				required = append(required, field)
			}
		}
		for p := range schema.Defs[name].Properties {
			properties = append(properties, p)
		}
		slices.Sort(all)
		slices.Sort(properties)
		if diff := cmp.Diff(all, properties); diff != "" {
			t.Errorf("%s (-type +schema):\n%s", name, diff)
		}
		if diff := cmp.Diff(required, schema.Defs[name].Required); diff != "" {
			t.Errorf("%s, always there (-type +schema):\n%s", name, diff)
		}
	}
}

func TestSchemaDocuments(t *testing.T) {
	schema, err := jsonschema.NewCompiler().Compile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
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
		text, err := json.Marshal(tt.report)
		if err != nil {
			t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(document); (err != nil) != tt.bad {
			t.Errorf("%s: %v", name, err)
		}
	}
}
