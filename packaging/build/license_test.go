package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestClassify(t *testing.T) {
	const bsd = "Redistribution and use in source and binary forms, with or\nwithout modification, are permitted ..."
	for text, want := range map[string]string{
		"Copyright 2026 X\n\n" + bsd: "BSD-2-Clause",
		bsd + "\n3. Neither the name of X may be used to endorse\nor promote products": "BSD-3-Clause",
		bsd + "\n3. All advertising materials must display":                            "",
		"# MIT License\n\nPermission is hereby granted, free of charge, to any":        "MIT",
		"   Apache License\n   Version 2.0, January 2004":                              "Apache-2.0",
		"All rights reserved.": "",
	} {
		if got, terms := classify(text); got != want || strings.Contains(terms, "Copyright") {
			t.Errorf("%q: %q, want %q; terms %q", text, got, want, terms)
		}
	}
}

func TestHolders(t *testing.T) {
	text := `Copyright (c) 2012 Alex Ogier. All rights reserved.
   Copyright 2014 Docker, Inc.
// Copyright 2013-2023 The Cobra Authors
Copyright (C) 2015 Matt Layher
Copyright (C) 2015 Matt Layher
copyright notice that is included
   Copyright [yyyy] [name of copyright owner]
`
	want := []string{"2012 Alex Ogier", "2014 Docker, Inc.", "2013-2023 The Cobra Authors", "2015 Matt Layher"}
	if diff := cmp.Diff(want, holders(text)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadModule(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	refused := func(want string) {
		t.Helper()
		if _, err := readModule(dir, module{path: "example.com/m"}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	refused("there is none")
	write("LICENSE", "Do as you like.")
	refused("teach them to classify")
	write("LICENSE", "Apache License\nVersion 2.0")
	refused("nobody has the copyright")
	write("m.go", "// Copyright 2026 X\n\npackage m\n\n// Copyright 2027 not this\n")
	write("NOTICE", "M has a notice.")
	got, err := readModule(dir, module{path: "example.com/m"})
	if err != nil || got.spdx != "Apache-2.0" || got.notice != "M has a notice." || !cmp.Equal(got.holders, []string{"2026 X"}) {
		t.Errorf("%+v %v", got, err)
	}
}

// TestCopyright has one licence paragraph for each wording.
func TestCopyright(t *testing.T) {
	text := string(copyright([]module{
		{path: "example.com/a/v2", version: "v2.0.0", spdx: "MIT", holders: []string{"2020 A", "2021 B"}, terms: "Permission\n\nis granted"},
		{path: "example.com/b", version: "v1.0.0", spdx: "MIT", holders: []string{"2020 B"}, terms: "Permission is\ngranted"},
		{path: "example.com/c", version: "v1.0.0", spdx: "MIT", holders: []string{"2020 C"}, terms: "Permission is given"},
		{path: "example.com/d", version: "v1.0.0", spdx: "Apache-2.0", holders: []string{"2020 D"}, notice: "Thanks.\n\nD"},
	}))
	for _, want := range []string{
		"\n\nFiles: example.com/a/v2/*\nCopyright: 2020 A\n           2021 B\nLicense: MIT\nComment: version v2.0.0, in /usr/bin/vipd\n\n",
		"\n\nFiles: example.com/b/*\nCopyright: 2020 B\nLicense: MIT\n",
		"\n\nFiles: example.com/c/*\nCopyright: 2020 C\nLicense: MIT~c\n",
		"\nLicense: Apache-2.0\nComment: version v1.0.0, in /usr/bin/vipd\n Thanks.\n .\n D\n",
		"\n\nLicense: MIT\n Permission\n .\n is granted\n",
		"\n\nLicense: MIT~c\n Permission is given\n",
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if n := strings.Count(text, "\nLicense: Apache-2.0\n Licensed"); n != 1 {
		t.Errorf("Apache's licence %d times", n)
	}
}
