package watch

import (
	"bytes"
	"encoding/json"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/vipd/vipd/test/schema"
)

const schemaFile = "../docs/watch.schema.json"

// No field is forgotten in either, and none has the name of another.
func TestSchemaFields(t *testing.T) {
	text, err := os.ReadFile(schemaFile)
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var documented []string
	for name := range file.Properties {
		documented = append(documented, name)
	}
	slices.Sort(documented)
	fields := fieldsOf(reflect.TypeFor[Event]())
	slices.Sort(fields)
	if diff := cmp.Diff(fields, documented); diff != "" {
		t.Errorf("(-type +schema):\n%s", diff)
	}
}

func fieldsOf(typ reflect.Type) []string {
	var names []string
	for f := range typ.Fields() {
		if f.Anonymous {
			names = append(names, fieldsOf(f.Type.Elem())...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		names = append(names, name)
	}
	return names
}

// What is printed is what the schema says.
func TestSchemaDocuments(t *testing.T) {
	d, _ := decode(golden(t, "v3-ipv4-prio150.hex"))
	m := readMessage(d)
	events := []Event{
		{Time: sentAt, Kind: KindStart, Text: "listening"},
		{Time: sentAt, Kind: KindAdvertisement, Interface: "eth0", Advert: advert(d, m, verdict{})},
		{Time: sentAt, Kind: KindAdvertisement, Interface: "eth0", Own: true, Advert: advert(&datagram{Header: d.Header}, message{}, verdict{reason: 3})},
		{Time: sentAt, Kind: KindAnnouncement, Interface: "eth0", Announcement: &Announcement{"198.51.100.100", "02:00:00:00:00:0b", ARPReply}},
		{Time: sentAt, Kind: KindConflict, Interface: "eth0", Conflict: &Conflict{"VRID 51", []string{"a", "b"}}, Text: "both"},
		{Time: sentAt, Kind: KindSilence, Interface: "eth0", Text: "nothing heard"},
		{Time: sentAt, Kind: KindEnd, Total: new(Total), Text: "advertisements: 0"},
	}
	for _, e := range events {
		var b bytes.Buffer
		if err := NewPrinter(&b, true).print(e); err != nil {
			t.Fatal(err)
		}
		if err := schema.Validate(t, schemaFile, "", json.RawMessage(b.Bytes())); err != nil {
			t.Errorf("%s: %v", e.Kind, err)
		}
	}
}

// Text has a time with milliseconds, and no colour where there is no terminal.
func TestText(t *testing.T) {
	var b bytes.Buffer
	p := NewPrinter(&b, false)
	e := Event{Time: sentAt, Kind: KindConflict, Interface: "eth0", Conflict: &Conflict{}, Text: "a\x1b[31m"}
	if err := p.print(e); err != nil {
		t.Fatal(err)
	}
	if want := sentAt.Local().Format("15:04:05") + ".123  eth0  CONFLICT  a?[31m\n"; b.String() != want {
		t.Errorf("%q, want %q", b.String(), want)
	}
	b.Reset()
	p.colour = true
	if err := p.print(e); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), red+"eth0") || !strings.HasSuffix(b.String(), plain+"\n") {
		t.Errorf("%q", b.String())
	}
}
