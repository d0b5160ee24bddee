package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const changes = `# Changelog

What users notice. [Keep](https://example.com/).

## Unreleased

### Added

- One, that goes
  on.

## [1.3.0-rc.1] - 2026-12-24

- Two, with ` + "`code`" + ` and a [link](docs/x.md).

## 1.2.3 - 2026-11-22

- Three.
`

func TestHistory(t *testing.T) {
	now := time.Date(2027, 1, 1, 12, 0, 0, 0, time.UTC)
	all, err := parseChangelog(changes)
	if err != nil {
		t.Fatal(err)
	}
	got, err := history(all, release{version: "1.3.0~rc.1+git1.abc", time: now})
	if err != nil {
		t.Fatal(err)
	}
	want := `vipd (1.3.0~rc.1+git1.abc) stable; urgency=medium

  * One, that goes on.

 -- A B <a@example.com>  Fri, 01 Jan 2027 12:00:00 +0000

vipd (1.3.0~rc.1) stable; urgency=medium

  * Two, with code and a link.

 -- A B <a@example.com>  Thu, 24 Dec 2026 00:00:00 +0000

vipd (1.2.3) stable; urgency=medium

  * Three.

 -- A B <a@example.com>  Sun, 22 Nov 2026 00:00:00 +0000
`
	if diff := cmp.Diff(want, string(debChangelog(got, "A B <a@example.com>"))); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// TestHistoryOfRelease refuses a tag that the changelog knows nothing of.
func TestHistoryOfRelease(t *testing.T) {
	_, released, _ := strings.Cut(changes, "  on.\n")
	for name, test := range map[string]struct {
		text, version, wants string
	}{
		"pending changes":   {changes, "1.3.0~rc.1", "said to be unreleased"},
		"forgotten":         {released, "1.3.0", "does not begin with 1.3.0"},
		"no date":           {"## 1.3.0\n- One.\n", "1.3.0", "has no date"},
		"as it should be":   {released, "1.3.0~rc.1", ""},
		"empty unreleased":  {"## Unreleased\n" + released, "1.3.0~rc.1", ""},
		"nothing but a tag": {"", "1.3.0", "does not begin with 1.3.0"},
	} {
		all, err := parseChangelog(test.text)
		if err == nil {
			_, err = history(all, release{version: test.version, tagged: true})
		}
		if (err == nil) != (test.wants == "") || err != nil && !strings.Contains(err.Error(), test.wants) {
			t.Errorf("%s: %v, want %q", name, err, test.wants)
		}
	}
}

func TestWrap(t *testing.T) {
	if got := wrap("aa bb  cc\ndd eeeeeeee f", 5, "\n"); got != "aa bb\ncc dd\neeeeeeee\nf" {
		t.Errorf("%q", got)
	}
}
