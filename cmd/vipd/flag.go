package main

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/spf13/pflag"

	"github.com/vipd/vipd/config"
)

// number is the value of a flag: a whole number. Left out it is 0, which it cannot be
// set to.
type number[T int | uint8 | uint32] struct {
	into     *T
	min, max T
}

// String returns the default, which is none.
func (number[T]) String() string { return "" }

// Type is what the help calls it.
func (number[T]) Type() string { return "number" }

// Set reads it.
func (n number[T]) Set(s string) error {
	v, err := strconv.ParseUint(s, 10, 64)
	if err != nil || v < uint64(n.min) || v > uint64(n.max) {
		if uint64(n.max) == most {
			return fmt.Errorf("choose a whole number above %d", n.min-1)
		}
		return fmt.Errorf("choose a number from %d to %d", n.min, n.max)
	}
	*n.into = T(v)
	return nil
}

// most is more than anybody counts to, and may be so without saying.
const most = math.MaxInt32

// span is the value of a flag: a duration.
type span struct {
	into           *time.Duration
	min, max, step time.Duration
}

// String returns the default.
func (s span) String() string {
	if s.into == nil || *s.into == 0 {
		return ""
	}
	return config.Spell(*s.into)
}

// Type is what the help calls it.
func (span) Type() string { return "duration" }

// Set reads it.
func (s span) Set(text string) error {
	d, err := time.ParseDuration(text)
	if err != nil || d < s.min || d > s.max || s.step > 0 && d%s.step != 0 {
		return fmt.Errorf("choose a time with its unit from %s to %s%s", config.Spell(s.min), config.Spell(s.max), s.steps())
	}
	*s.into = d
	return nil
}

func (s span) steps() string {
	if s.step == 0 {
		return ""
	}
	return ", in steps of " + config.Spell(s.step)
}

// filled is the value of a flag that is not empty: one that is comes of a variable of a
// script that was not set.
type filled struct{ into *string }

// String returns the default.
func (f filled) String() string {
	if f.into == nil {
		return ""
	}
	return *f.into
}

// Type is what the help calls it.
func (filled) Type() string { return "string" }

// Set reads it.
func (f filled) Set(s string) error {
	if s == "" {
		return errors.New("it is empty: give it a value, or leave the flag out")
	}
	*f.into = s
	return nil
}

// flagError says of a flag in words what is wrong with it.
func flagError(err error) error {
	var value *pflag.InvalidValueError
	if !errors.As(err, &value) {
		return usageError{err}
	}
	f, cause := value.GetFlag(), value.Unwrap()
	switch f.Value.Type() {
	case "bool":
		cause = errors.New("choose true or false, or leave the value out")
	case "stringSlice":
		cause = errors.New("write the values with commas between them, without quotes")
	}
	return usageError{fmt.Errorf("--%s %s: %w", f.Name, quoted(value.GetValue()), cause)}
}

// quoted is what was typed, in quotes where its ends cannot be seen without.
func quoted(s string) string {
	if s == "" || strings.ContainsFunc(s, func(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }) {
		return strconv.Quote(s)
	}
	return s
}
