package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// schema is what may stand in a table that is read into a T.
type schema[T any] []entry[T]

type entry[T any] struct {
	name string
	read func(value, *T)
}

// read reads the table v. Keys that are missing leave their default in into.
func (s schema[T]) read(v value, into *T) {
	if _, ok := v.data.(map[string]any); !ok {
		v.fail("is %s: write [%s] in single brackets, once", v.kind(), v.key)
		return
	}
	s.refuseOthers(v)
	s.pick(v, into)
}

// pick reads the keys of s that the table v has. It may have others.
func (s schema[T]) pick(v value, into *T) {
	for _, e := range s {
		if found, ok := v.entry(e.name); ok && e.read != nil {
			e.read(found, into)
		}
	}
}

func (s schema[T]) names() []string {
	names := make([]string, len(s))
	for i, e := range s {
		names[i] = e.name
	}
	return names
}

// in notes that the table takes the keys of s.
func (s schema[T]) in(table string, homes map[string][]string) {
	for _, e := range s {
		homes[e.name] = append(homes[e.name], table)
	}
}

// refuseOthers reports each key of the table v that s does not have.
func (s schema[T]) refuseOthers(v value) {
	table, _ := v.data.(map[string]any)
	known := s.names()
	for _, name := range slices.Sorted(maps.Keys(table)) {
		if !slices.Contains(known, name) {
			v.failKey(name, "unknown key: %s", remedy(name, known, v.report.homes))
		}
	}
}

// remedy says what to write instead of an unknown key.
func remedy(name string, known []string, homes map[string][]string) string {
	like, d := nearest(name, known)
	if tables := homes[name]; len(tables) > 0 && (like == "" || d > 1) {
		return fmt.Sprintf("only %s takes it", strings.Join(tables, " or "))
	}
	if like != "" {
		return fmt.Sprintf("did you mean %q?", like)
	}
	if like, _ = nearest(name, slices.Sorted(maps.Keys(homes))); like != "" {
		return fmt.Sprintf("did you mean %q in %s?", like, strings.Join(homes[like], " or "))
	}
	return "known here are " + strings.Join(known, ", ")
}

// nearest returns the one of known that name most likely was meant to be, or "",
// and its distance.
func nearest(name string, known []string) (string, int) {
	plain := strings.ReplaceAll(strings.ToLower(name), "-", "_")
	best, least := "", len(name)
	for _, k := range known {
		d := distance(plain, k)
		if len(plain) > 2 && strings.Contains(k, plain) {
			d = min(d, 1)
		}
		if d < least && d <= max(2, len(k)/3) && d < len(k)-1 {
			best, least = k, d
		}
	}
	return best, least
}

// distance is the number of letters to insert, delete or replace between a and
// b (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
