package config

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// value is one value of the decoded file, with its key and its place. The
// methods that read it report what is wrong and then return false.
type value struct {
	report *report
	key    string
	place  *place
	data   any
}

// fail reports a problem with the value.
func (v value) fail(format string, args ...any) {
	v.report.add(v.place.line, v.key, format, args...)
}

// failKey reports a problem with an entry of a table that need not be there.
func (v value) failKey(name, format string, args ...any) {
	v.report.add(v.place.key(name).line, v.join(name), format, args...)
}

func (v value) join(name string) string {
	if !bare(name) {
		name = strconv.Quote(name)
	}
	if v.key == "" {
		return name
	}
	return v.key + "." + name
}

// bare tells whether TOML can write name without quotes.
func bare(name string) bool {
	return madeOf(name, letters+digits+"_-", len(name))
}

const (
	letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
	digits  = "0123456789"
)

// entry returns the entry of a table.
func (v value) entry(name string) (value, bool) {
	table, _ := v.data.(map[string]any)
	data, ok := table[name]
	return value{v.report, v.join(name), v.place.key(name), data}, ok
}

func (v value) has(name string) bool {
	_, ok := v.entry(name)
	return ok
}

// elements returns the elements of a list, which the library decodes into one of
// two types.
func (v value) elements() ([]value, bool) {
	var list []any
	switch data := v.data.(type) {
	case []any:
		list = data
	case []map[string]any:
		for _, table := range data {
			list = append(list, table)
		}
	default:
		return nil, false
	}
	values := make([]value, len(list))
	for i, data := range list {
		values[i] = value{v.report, v.key, v.place.element(i), data}
	}
	return values, true
}

// tables returns the tables of an array of tables called name.
func (v value) tables(name string) []value {
	array, ok := v.entry(name)
	if !ok {
		return nil
	}
	list, ok := array.elements()
	if !ok {
		array.fail("is %s: write [[%s]] with double brackets, once for each", array.kind(), name)
		return nil
	}
	if len(list) == 0 {
		array.fail("is empty: write [[%s]] and its keys, or leave it out", name)
	}
	var tables []value
	for _, t := range list {
		if _, ok := t.data.(map[string]any); !ok {
			t.fail("is %s: write a table under [[%s]]", t.kind(), name)
			continue
		}
		tables = append(tables, t)
	}
	return tables
}

// kind names the type of the value for a message.
func (v value) kind() string {
	switch data := v.data.(type) {
	case string:
		return "a string"
	case int64:
		return "a whole number"
	case float64:
		return "a fraction"
	case bool:
		return strconv.FormatBool(data)
	case time.Time:
		return "a date or time"
	case map[string]any:
		return "a table"
	}
	return "a list"
}

func (v value) text(into *string, example string) bool {
	s, ok := v.data.(string)
	if !ok {
		v.fail("is %s: write a string in quotes, such as %q", v.kind(), example)
		return false
	}
	*into = s
	return true
}

func (v value) flag(into *bool) {
	b, ok := v.data.(bool)
	if !ok {
		v.fail("is %s: write true or false, without quotes", v.kind())
		return
	}
	*into = b
}

// whole reads an integer from lo to hi. The note is appended to the remedy.
func whole[T ~int | ~uint8](v value, into *T, lo, hi T, note string) bool {
	n, ok := v.data.(int64)
	if !ok {
		v.fail("is %s: write a number from %d to %d without quotes%s", v.kind(), lo, hi, note)
		return false
	}
	if n < int64(lo) || n > int64(hi) {
		v.fail("%d is out of range: choose %d to %d%s", n, lo, hi, note)
		return false
	}
	*into = T(n)
	return true
}

// duration reads a length of time from lo to hi. What it holds before is the
// default and serves as the example.
func (v value) duration(into *time.Duration, lo, hi time.Duration) bool {
	if n, ok := v.number(); ok {
		v.fail("%s has no unit: write %s", n, withUnit(n, lo, hi, *into))
		return false
	}
	s, ok := v.data.(string)
	if !ok {
		v.fail("is %s: write a string such as %q", v.kind(), Spell(*into))
		return false
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		v.fail("%q is not a duration: write a number and a unit (ms, s, m), such as %q", s, Spell(*into))
		return false
	}
	if d < lo || d > hi {
		v.fail("%s is out of range: choose %s to %s", s, Spell(lo), Spell(hi))
		return false
	}
	*into = d
	return true
}

// number returns the value as written if it is a bare number, quoted or not. A
// quoted zero needs no unit.
func (v value) number() (string, bool) {
	switch data := v.data.(type) {
	case int64:
		return strconv.FormatInt(data, 10), true
	case float64:
		return strconv.FormatFloat(data, 'g', -1, 64), true
	case string:
		f, err := strconv.ParseFloat(data, 64)
		return data, err == nil && f != 0 && !math.IsInf(f, 0) && !math.IsNaN(f)
	}
	return "", false
}

// withUnit returns those readings of the bare number n that are in range.
func withUnit(n string, lo, hi, example time.Duration) string {
	var choices []string
	for _, unit := range []string{"ms", "s"} {
		d, err := time.ParseDuration(n + unit)
		if err == nil && d >= lo && d <= hi {
			choices = append(choices, strconv.Quote(n+unit))
		}
	}
	if len(choices) == 0 {
		return fmt.Sprintf("a string such as %q", Spell(example))
	}
	return strings.Join(choices, " or ")
}

// Spell writes d as an operator would: "1m", not "1m0s".
func Spell(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// oneOf reads a string that must be one of choices, of which there are at least
// two.
func oneOf[T ~string](v value, into *T, choices ...T) bool {
	quoted := make([]string, len(choices))
	for i, c := range choices {
		quoted[i] = strconv.Quote(string(c))
	}
	last := len(quoted) - 1
	remedy := strings.Join(quoted[:last], ", ") + " or " + quoted[last]

	s, ok := v.data.(string)
	if !ok {
		v.fail("is %s: choose %s", v.kind(), remedy)
		return false
	}
	for _, c := range choices {
		if s == string(c) {
			*into = c
			return true
		}
	}
	v.fail("%q is not known: choose %s", s, remedy)
	return false
}

// strings returns the strings of a list with their places.
func (v value) strings(example string) []value {
	list, ok := v.elements()
	if !ok {
		v.fail("is %s: write a list, such as [%q]", v.kind(), example)
		return nil
	}
	var values []value
	for _, e := range list {
		var s string
		if e.text(&s, example) {
			values = append(values, e)
		}
	}
	return values
}

// madeOf tells whether s is 1 to limit bytes long, each of them in set.
func madeOf(s, set string, limit int) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool {
		return !strings.ContainsRune(set, r)
	})
}

// printable tells whether s is 1 to limit bytes of ASCII, without spaces and
// without any of the bytes in except.
func printable(s string, limit int, except string) bool {
	return s != "" && len(s) <= limit && !strings.ContainsFunc(s, func(r rune) bool {
		return r <= ' ' || r > '~' || strings.ContainsRune(except, r)
	})
}
