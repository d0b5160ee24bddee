package main

import (
	"bufio"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
)

// module is a part of the binary, and under which terms it is.
type module struct {
	path, version string
	spdx          string
	sum           string // as in go.sum; empty for Go itself
	holders       []string
	terms         string // the licence without title and holders
	notice        string // what Apache's licence wants to be passed on
}

// readModules finds the licences of Go's runtime and of the modules of the binary
// where Go keeps their sources.
func readModules(info *debug.BuildInfo) ([]module, error) {
	goroot, err := output("go", "env", "GOROOT")
	if err != nil {
		return nil, err
	}
	std, err := readModule(goroot, module{path: "std", version: strings.TrimPrefix(info.GoVersion, "go")})
	if err != nil {
		return nil, err
	}
	all := []module{std}
	for _, dep := range info.Deps {
		if dep.Replace != nil {
			dep = dep.Replace
		}
		dir, err := outputWith(neutral(), "go", "list", "-m", "-f", "{{.Dir}}", dep.Path)
		if err != nil {
			return nil, err
		}
		m, err := readModule(dir, module{path: dep.Path, version: dep.Version, sum: dep.Sum})
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

func readModule(dir string, m module) (module, error) {
	file, err := licenseFile(dir)
	if err != nil {
		return m, fmt.Errorf("licence of %s: %w", m.path, err)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return m, fmt.Errorf("licence of %s: %w", m.path, err)
	}
	if m.spdx, m.terms = classify(string(text)); m.spdx == "" {
		return m, fmt.Errorf("licence of %s: %s is none of those known: read it, and teach them to classify", m.path, file)
	}
	if notice, err := os.ReadFile(filepath.Join(dir, "NOTICE")); err == nil {
		m.notice = string(notice)
	}
	m.holders = holders(string(text) + "\n" + m.notice)
	if len(m.holders) == 0 {
		m.holders, err = holdersInSource(dir)
	}
	if err == nil && len(m.holders) == 0 {
		err = fmt.Errorf("nobody has the copyright")
	}
	if err != nil {
		return m, fmt.Errorf("licence of %s: %w", m.path, err)
	}
	return m, nil
}

func licenseFile(dir string) (string, error) {
	for _, name := range []string{"LICENSE", "LICENSE.md", "LICENSE.txt", "COPYING"} {
		file := filepath.Join(dir, name)
		if _, err := os.Stat(file); err == nil {
			return file, nil
		}
	}
	return "", fmt.Errorf("there is none in %s", dir)
}

// classify returns the licence's SPDX identifier, and its terms from their first
// words on.
func classify(text string) (spdx, terms string) {
	words := strings.Join(strings.Fields(text), " ")
	from := func(phrase string) string { return strings.TrimSpace(text[max(0, strings.Index(text, phrase)):]) }
	const mit, bsd = "Permission is hereby granted, free of charge", "Redistribution and use in source and binary forms"
	switch {
	case strings.Contains(words, "Apache License Version 2.0"):
		return "Apache-2.0", ""
	case strings.Contains(words, mit):
		return "MIT", from(mit)
	case !strings.Contains(words, bsd) || strings.Contains(words, "advertising"):
		return "", ""
	case strings.Contains(words, "endorse or promote"):
		return "BSD-3-Clause", from(bsd)
	default:
		return "BSD-2-Clause", from(bsd)
	}
}

// holders returns who the text says has the copyright, and since when.
func holders(text string) []string {
	line := regexp.MustCompile(`(?mi)^[ \t/*#]*copyright (?:\(c\) |© )?(\d{4}.*?)(?:\.? *all rights reserved\.?)?\s*$`)
	var found []string
	for _, m := range line.FindAllStringSubmatch(text, -1) {
		if !slices.Contains(found, m[1]) {
			found = append(found, m[1])
		}
	}
	return found
}

// holdersInSource reads the heads of a module's files: Apache's licence itself need
// not name anybody.
func holdersInSource(dir string) ([]string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var found []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		head, _, _ := strings.Cut(string(text), "\npackage ")
		for _, h := range holders(head) {
			if !slices.Contains(found, h) {
				found = append(found, h)
			}
		}
	}
	return found, nil
}

// expression is the SPDX expression of the whole.
func expression(modules []module) string {
	ids := []string{"Apache-2.0"}
	for _, m := range modules {
		ids = append(ids, m.spdx)
	}
	slices.Sort(ids)
	return strings.Join(slices.Compact(ids), " AND ")
}

// copyright is in the format 1.0 of debian/copyright; rpm has it too, beside LICENSE.
func copyright(modules []module) []byte {
	var b strings.Builder
	b.WriteString(copyrightHead)
	terms := newTerms()
	for _, m := range modules {
		fmt.Fprintf(&b, "\nFiles: %s/*\nCopyright: %s\nLicense: %s\n", m.path, strings.Join(m.holders, "\n           "), terms.name(m))
		fmt.Fprintf(&b, "Comment: version %s, in /usr/bin/vipd\n", m.version)
		if m.notice != "" {
			b.WriteString(indent(m.notice))
		}
	}
	b.WriteString(apache)
	for _, t := range terms.all {
		fmt.Fprintf(&b, "\nLicense: %s\n%s", t.name, indent(t.text))
	}
	return []byte(b.String())
}

const copyrightHead = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: vipd
Source: https://github.com/vipd/vipd
Comment: /usr/bin/vipd is linked statically. What is in it beside vipd itself
 follows under the paths of the Go modules; "std" is Go's runtime and library.

Files: *
Copyright: 2026 The vipd authors
License: Apache-2.0
`

const apache = `
License: Apache-2.0
 Licensed under the Apache License, Version 2.0; you may not use this work except
 in compliance with the License. It comes without warranties or conditions of any
 kind. On Debian the License is in /usr/share/common-licenses/Apache-2.0, elsewhere
 in the file LICENSE beside this one.
`

// terms are the licences in full. Those of one identifier differ in wording, and
// each wording needs a name of its own.
type terms struct{ all []term }

type term struct{ name, text string }

func newTerms() *terms { return &terms{} }

func (ts *terms) name(m module) string {
	if m.terms == "" {
		return m.spdx
	}
	name := m.spdx
	for _, t := range ts.all {
		if t.name != m.spdx && !strings.HasPrefix(t.name, m.spdx+"~") {
			continue
		}
		if slices.Equal(strings.Fields(t.text), strings.Fields(m.terms)) {
			return t.name
		}
		name = m.spdx + "~" + path.Base(m.path)
	}
	ts.all = append(ts.all, term{name, m.terms})
	return name
}

// indent makes text the continuation of a field.
func indent(text string) string {
	var b strings.Builder
	for lines := bufio.NewScanner(strings.NewReader(text)); lines.Scan(); {
		line := strings.TrimSpace(lines.Text())
		if line == "" {
			line = "."
		}
		b.WriteString(" " + wrap(line, 78, "\n ") + "\n")
	}
	return b.String()
}
