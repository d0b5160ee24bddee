package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"strings"
	"time"
)

// section is a release in CHANGELOG.md.
type section struct {
	version string // empty: Unreleased
	date    time.Time
	items   []string
}

// readChangelog returns the history of r, newest first. What is unreleased belongs to
// a snapshot; a release must have a section of its own.
func readChangelog(path string, r release) ([]section, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read the changelog: %w", err)
	}
	all, err := parseChangelog(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	all, err = history(all, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return all, nil
}

func history(all []section, r release) ([]section, error) {
	var pending []string
	if len(all) > 0 && all[0].version == "" {
		pending, all = all[0].items, all[1:]
	}
	known := len(all) > 0 && all[0].version == r.version
	switch {
	case known && len(pending) == 0:
		return all, nil
	case r.tagged && known:
		return nil, fmt.Errorf("there are changes of %s that are said to be unreleased", r.version)
	case r.tagged:
		return nil, fmt.Errorf("it does not begin with %s", r.version)
	case len(pending) == 0:
		pending = []string{"A build between releases."}
	}
	return append([]section{{r.version, r.time, pending}}, all...), nil
}

// parseChangelog understands the headings of Keep a Changelog and the bullets below
// them.
func parseChangelog(text string) ([]section, error) {
	heading := regexp.MustCompile(`^## \[?([^\] ]+)\]?(?: - (\d{4}-\d\d-\d\d))?`)
	var all []section
	open := false // whether the last item may go on
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := lines.Text()
		if m := heading.FindStringSubmatch(line); m != nil {
			s, err := newSection(m[1], m[2])
			if err != nil {
				return nil, err
			}
			all, open = append(all, s), false
			continue
		}
		if len(all) == 0 {
			continue
		}
		items := &all[len(all)-1].items
		switch {
		case strings.HasPrefix(line, "- "):
			*items, open = append(*items, plain(line[2:])), true
		case open && strings.HasPrefix(line, "  "):
			(*items)[len(*items)-1] += " " + plain(strings.TrimSpace(line))
		default:
			open = false
		}
	}
	return all, nil
}

func newSection(version, date string) (section, error) {
	if strings.EqualFold(version, "unreleased") {
		return section{}, nil
	}
	d, err := time.Parse(time.DateOnly, date)
	if err != nil {
		return section{}, fmt.Errorf("release %s has no date: %w", version, err)
	}
	return section{version: fromSemver(version), date: d}, nil
}

// plain leaves the text of links and of code.
func plain(markdown string) string {
	text := regexp.MustCompile(`\[([^\]]*)\]\([^)]*\)`).ReplaceAllString(markdown, "$1")
	return strings.ReplaceAll(text, "`", "")
}

// debChangelog is in the format of deb-changelog(5).
func debChangelog(history []section, maintainer string) []byte {
	var b strings.Builder
	for i, s := range history {
		if i > 0 {
			b.WriteString("\n")
		}
		fmt.Fprintf(&b, "vipd (%s) stable; urgency=medium\n\n", s.version)
		for _, item := range s.items {
			fmt.Fprintf(&b, "  * %s\n", wrap(item, 74, "\n    "))
		}
		fmt.Fprintf(&b, "\n -- %s  %s\n", maintainer, s.date.Format(time.RFC1123Z))
	}
	return []byte(b.String())
}

// rpmChangelog is what nfpm reads; JSON is YAML.
func rpmChangelog(history []section, maintainer string) ([]byte, error) {
	type change struct {
		Note string `json:"note"`
	}
	type entry struct {
		Version  string    `json:"semver"`
		Date     time.Time `json:"date"`
		Packager string    `json:"packager"`
		Changes  []change  `json:"changes"`
	}
	var entries []entry
	for _, s := range history {
		e := entry{Version: s.version + "-" + rpmRelease, Date: s.date, Packager: maintainer}
		for _, item := range s.items {
			e.Changes = append(e.Changes, change{wrap(item, 76, "\n  ")})
		}
		entries = append(entries, e)
	}
	return json.MarshalIndent(entries, "", "  ")
}

// wrap breaks the text at blanks, so that no line is longer than the width if its
// words allow it.
func wrap(text string, width int, newline string) string {
	var b strings.Builder
	used := 0
	for word := range strings.FieldsSeq(text) {
		switch {
		case used == 0:
		case used+1+len(word) > width:
			b.WriteString(newline)
			used = 0
		default:
			b.WriteString(" ")
			used++
		}
		b.WriteString(word)
		used += len(word)
	}
	return b.String()
}
