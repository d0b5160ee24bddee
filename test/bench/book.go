package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// book keeps the latest results, so that a report can be made of parts that were
// measured one by one.
type book struct {
	path     string
	Facts    map[string]facts               `json:"facts"`  // by part
	Faults   map[string]map[string][]sample `json:"faults"` // by fault, and by entrant
	Bills    []bill                         `json:"bills"`
	Binaries map[string]int64               `json:"binaries"` // bytes
	Strains  []strain                       `json:"strains"`
}

func openBook(path string) (*book, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("make a place for the results: %w", err)
	}
	b := &book{path: path}
	text, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("read the results: %w", err)
	}
	if err == nil {
		if err := json.Unmarshal(text, b); err != nil {
			return nil, fmt.Errorf("read the results in %s: %w", path, err)
		}
	}
	if b.Facts == nil {
		b.Facts = make(map[string]facts)
	}
	if b.Faults == nil {
		b.Faults = make(map[string]map[string][]sample)
	}
	return b, nil
}

func (b *book) save() error {
	text, err := json.Marshal(b)
	if err != nil {
		return err
	}
	return os.WriteFile(b.path, append(text, '\n'), 0o644)
}

// fault returns the results of a fault, by entrant.
func (b *book) fault(name string) map[string][]sample {
	if b.Faults[name] == nil {
		b.Faults[name] = make(map[string][]sample)
	}
	return b.Faults[name]
}

// strain adds a result, or begins those of an agent anew.
func (b *book) strain(s strain, anew bool) {
	if anew {
		b.Strains = slices.DeleteFunc(b.Strains, func(old strain) bool { return old.Agent == s.Agent })
	}
	b.Strains = append(b.Strains, s)
}
