package main

import (
	"flag"
	"os"
	"strings"
	"testing"
)

const page = "../../docs/reliability.md"

// The page has the table of what is recorded beside it, and that keeps to today's bounds.
func TestRecorded(t *testing.T) {
	results, err := readResults(beside(page))
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var o options
	o.flags(flag.NewFlagSet("", flag.ContinueOnError))
	all := faults(o)
	b := &book{results: results}
	for _, red := range b.judge(all) {
		t.Error(red)
	}
	_, rest, _ := strings.Cut(string(text), markBegin)
	if got, _, _ := strings.Cut(rest, markEnd); got != b.table(all) {
		t.Errorf("the table is not of the results beside the page: bin/play-faults -judge docs/reliability.md")
	}
}
