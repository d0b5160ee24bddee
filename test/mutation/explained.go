package main

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"strings"
)

// explanations reads why mutants survive: the names of some, and below them, set in,
// the reason that they share. Empty lines and lines with # in front are skipped.
func explanations(name string) (map[string]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	why := make(map[string]string)
	var open []string
	reason := false
	for lines := bufio.NewScanner(f); lines.Scan(); {
		line := lines.Text()
		text := strings.TrimSpace(line)
		switch {
		case text == "" || strings.HasPrefix(line, "#"):
		case line == text:
			if reason {
				open, reason = nil, false
			}
			if _, twice := why[text]; twice {
				return nil, fmt.Errorf("%s: %q is there twice", name, text)
			}
			open, why[text] = append(open, text), ""
		default:
			reason = true
			for _, m := range open {
				why[m] = strings.TrimSpace(why[m] + " " + text)
			}
		}
	}
	for m, reason := range why {
		if reason == "" {
			return nil, errors.New(name + ": no reason is given for " + m)
		}
	}
	return why, nil
}
