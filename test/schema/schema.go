// Package schema holds what the program prints as JSON to the schemas in docs.
package schema

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

// Fields holds each type against its definition in the schema in file, so that no field is
// forgotten in either: names, and which of them are always there.
func Fields(t *testing.T, file string, types map[string]any) {
	t.Helper()
	var schema struct {
		Defs map[string]struct {
			Properties map[string]any `json:"properties"`
			Required   []string       `json:"required"`
		} `json:"$defs"`
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		t.Fatal(err)
	}
	for name, document := range types {
		t.Run(name, func(t *testing.T) {
			def, ok := schema.Defs[name]
			if !ok {
				t.Fatal("not in the schema")
			}
			all, required := fields(reflect.TypeOf(document))
			var documented []string
			for p := range def.Properties {
				documented = append(documented, p)
			}
			slices.Sort(all)
			slices.Sort(documented)
			if diff := cmp.Diff(all, documented); diff != "" {
				t.Errorf("fields (-type +schema):\n%s", diff)
			}
			if diff := cmp.Diff(required, def.Required); diff != "" {
				t.Errorf("always there (-type +schema):\n%s", diff)
			}
		})
	}
}

// fields returns the names of a type's fields, and of those that are never left out.
func fields(typ reflect.Type) (all, required []string) {
	for f := range typ.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		all = append(all, name)
		if !strings.HasPrefix(options, "omit") {
			required = append(required, name)
		}
	}
	return all, required
}

// Validate says what is wrong with a document, as a client sees it, by a definition of the
// schema in file; "": by the whole of it.
func Validate(t *testing.T, file, definition string, document any) error {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.AssertFormat()
	if definition != "" {
		file += "#/$defs/" + definition
	}
	s, err := c.Compile(file)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(document)
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	return s.Validate(v)
}
