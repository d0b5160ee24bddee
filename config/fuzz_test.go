package config

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// seeds adds whatever configurations there are to the corpus.
func seeds(f *testing.F) {
	f.Add([]byte(reference))
	f.Add([]byte(uncommented(reference)))
	f.Add([]byte(minimalBGP))
	f.Add([]byte(commonBGP))
	for _, tt := range refusals {
		f.Add([]byte(tt.in))
	}
	drafts, err := filepath.Glob("testdata/*.toml")
	if err != nil {
		f.Fatal(err)
	}
	for _, name := range drafts {
		data, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
}

func FuzzParse(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse("vipd.toml", data, Host{Name: "k3s1.example.com"})
		if err == nil {
			checkInRange(t, c)
			return
		}
		errs, ok := err.(Errors)
		if !ok || len(errs) == 0 {
			t.Fatalf("error is %#v, want Errors", err)
		}
		if !slices.IsSortedFunc(errs, func(a, b Error) int { return a.Line - b.Line }) {
			t.Errorf("not in file order:\n%v", err)
		}
		last := 1 + strings.Count(string(data), "\n")
		for _, e := range errs {
			if e.File != "vipd.toml" || e.Line < 1 || e.Line > last {
				t.Errorf("points outside the %d lines of the file: %v", last, e)
			}
			if e.Msg == "" || strings.ContainsAny(e.Error(), "\n\x00\x1b") {
				t.Errorf("not one line of text: %q", e.Error())
			}
		}
	})
}

func checkInRange(t *testing.T, c *Config) {
	t.Helper()
	if len(c.Checks) == 0 || len(c.VIPs) == 0 {
		t.Errorf("%d checks and %d VIPs", len(c.Checks), len(c.VIPs))
	}
	for _, v := range c.VIPs {
		ok := v.Name != "" && len(v.Addresses) > 0 && (v.VRID > 0 || v.Mode == ModeBGP) && v.Priority >= 100 && v.Priority <= 254 &&
			v.AdvertInterval >= 10*time.Millisecond && v.AdvertInterval <= 40950*time.Millisecond &&
			v.AdvertInterval%(10*time.Millisecond) == 0 && v.PreemptDelay >= 0 && v.WhenDown != "" && v.Checksum != ""
		if !ok {
			t.Errorf("out of range: %+v", v)
		}
	}
	for _, k := range c.Checks {
		ok := k.Type == CheckNone || k.Interval >= 100*time.Millisecond && k.Timeout > 0 && k.Fall > 0 && k.Rise > 0
		if !ok {
			t.Errorf("out of range: %+v", k)
		}
	}
	if c.BGP != nil {
		for _, p := range c.BGP.Peers {
			ok := p.Address.IsValid() && p.AS > 0 && p.Port > 0 && p.HoldTime >= 3*time.Second && p.Keepalive <= p.HoldTime/3 && p.ConnectRetry > 0 &&
				len(p.Families) > 0 && p.WorseBy != "" && p.WorseStep > 0 && (p.Multihop == 0 || p.TTLSecurity == 0 && p.BFD == 0) &&
				(p.Password.File == "" || p.Password.Credential == "")
			if !ok {
				t.Errorf("out of range: %+v", p)
			}
		}
	}
	if a := c.Auth; a != nil {
		active := slices.ContainsFunc(a.Keys, func(k Key) bool { return k.ID == a.ActiveKey })
		if !active || a.WindowFor(40950*time.Millisecond) < time.Second || a.Window > 5*time.Minute {
			t.Errorf("out of range: %+v", a)
		}
	}
}

// FuzzLocate holds the line index against the library: whatever is in the tree
// has a place of its own, and nothing else has.
func FuzzLocate(f *testing.F) {
	seeds(f)
	for _, tt := range places {
		f.Add([]byte(tt.in))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		root, clashes := locate(string(data))
		if !utf8.Valid(data) || len(clashes) > 0 {
			return
		}
		if bytes.Contains(data, []byte(`\\"""""`)) {
			return // the decoder takes an escaped backslash before the end for an escaped quote
		}
		var tree map[string]any
		if _, err := toml.Decode(string(data), &tree); err != nil {
			return
		}
		last := 1 + strings.Count(string(data), "\n")
		compare(t, "", tree, root, last)
	})
}

func compare(t *testing.T, key string, data any, p *place, last int) {
	if p.line < 1 || p.line > last {
		t.Errorf("%s: line %d of %d", key, p.line, last)
	}
	switch data := data.(type) {
	case map[string]any:
		if len(data) != len(p.table) || p.list != nil {
			t.Fatalf("%s: %d entries, %d places, %d elements", key, len(data), len(p.table), len(p.list))
		}
		for name, d := range data {
			if p.table[name] == nil {
				t.Fatalf("%s.%q has no place", key, name)
			}
			compare(t, key+"."+name, d, p.table[name], last)
		}
	case []map[string]any:
		compareList(t, key, data, p, last)
	case []any:
		compareList(t, key, data, p, last)
	default:
		if p.table != nil || p.list != nil {
			t.Fatalf("%s: a %T has places inside", key, data)
		}
	}
}

func compareList[T any](t *testing.T, key string, list []T, p *place, last int) {
	if len(list) != len(p.list) || p.table != nil {
		t.Fatalf("%s: %d elements, %d places", key, len(list), len(p.list))
	}
	for i, d := range list {
		compare(t, key+"[]", d, p.list[i], last)
	}
}
