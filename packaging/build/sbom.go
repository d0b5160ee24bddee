package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"strings"
)

// The part of CycloneDX 1.6 that says what is in a binary. A serial number and the
// time of the making are left out: they would differ each time.
// https://cyclonedx.org/docs/1.6/json/
type sbom struct {
	Format      string      `json:"bomFormat"`
	SpecVersion string      `json:"specVersion"`
	Version     int         `json:"version"`
	Metadata    metadata    `json:"metadata"`
	Components  []component `json:"components"`
}

type metadata struct {
	Component component `json:"component"`
}

type component struct {
	Type       string          `json:"type"`
	Ref        string          `json:"bom-ref"`
	Name       string          `json:"name"`
	Version    string          `json:"version"`
	Scope      string          `json:"scope,omitempty"`
	Hashes     []hash          `json:"hashes,omitempty"`
	Licenses   []licenseChoice `json:"licenses"`
	PURL       string          `json:"purl"`
	Properties []property      `json:"properties,omitempty"`
}

type hash struct {
	Algorithm string `json:"alg"`
	Content   string `json:"content"`
}

type licenseChoice struct {
	License licenseID `json:"license"`
}

type licenseID struct {
	ID string `json:"id"`
}

type property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// makeSBOM lists what the binary is made of.
func makeSBOM(binary, version string, a arch, modules []module) ([]byte, error) {
	content, err := os.ReadFile(binary)
	if err != nil {
		return nil, fmt.Errorf("hash the binary: %w", err)
	}
	main := newComponent("application", modulePath, version, "Apache-2.0")
	main.Name = "vipd"
	main.Hashes = []hash{{"SHA-256", fmt.Sprintf("%x", sha256.Sum256(content))}}
	main.Properties = []property{{"architecture", a.name}}
	bom := sbom{Format: "CycloneDX", SpecVersion: "1.6", Version: 1, Metadata: metadata{main}}
	for _, m := range modules {
		c := newComponent("library", m.path, m.version, m.spdx)
		c.Scope = "required"
		if m.sum != "" {
			c.Properties = []property{{"go.sum", m.sum}}
		}
		bom.Components = append(bom.Components, c)
	}
	text, err := json.MarshalIndent(bom, "", "  ")
	return append(text, '\n'), err
}

func newComponent(kind, path, version, spdx string) component {
	// In a package URL a plus sign would be a blank.
	purl := "pkg:golang/" + path + "@" + strings.ReplaceAll(version, "+", "%2B")
	return component{Type: kind, Ref: purl, Name: path, Version: version, Licenses: []licenseChoice{{licenseID{spdx}}}, PURL: purl}
}
