package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"
)

// recording is what the panels showed of a story.
type recording struct {
	When   string  `json:"when"`
	Tool   string  `json:"prometheus"`
	Length float64 `json:"length"` // seconds
	Marks  []mark  `json:"marks"`
	Panels []shown `json:"panels"`
}

// mark is something that happened.
type mark struct {
	At   float64 `json:"at"` // seconds from the beginning
	What string  `json:"what"`
}

// shown is what one panel showed.
type shown struct {
	Title  string          `json:"title"`
	Type   string          `json:"type"`
	Unit   string          `json:"unit"`
	Asked  []string        `json:"asked"`
	Looks  map[string]look `json:"looks,omitempty"`
	Series []line          `json:"series"`
}

// line is a series: seconds and values.
type line struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"`
}

// step is the time between two points, and two scrapes.
const step = time.Second

func load(path string) (*recording, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read what was recorded: %w", err)
	}
	r := new(recording)
	if err := json.Unmarshal(text, r); err != nil {
		return nil, fmt.Errorf("read what was recorded in %s: %w", path, err)
	}
	return r, nil
}

func (r *recording) save(path string) error {
	text, err := json.Marshal(r)
	if err != nil {
		return err
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("keep what was recorded: %w", err)
	}
	return nil
}
