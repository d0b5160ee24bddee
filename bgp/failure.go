package bgp

import (
	"errors"

	"golang.org/x/sys/unix"
)

// Failure is why an attempt to bring a session up failed.
type Failure uint8

// The failures.
const (
	Refused     Failure = iota // nothing listens there
	Unreachable                // there is no way to it
	Unanswered                 // it did not answer in time, as with another password
	Closed                     // it closed or reset the connection without a word
	Disagreed                  // the two ends do not agree on the terms
	Other
	failures // how many there are
)

var failureNames = [...]string{"refused", "unreachable", "unanswered", "closed", "disagreed", "other"}

func (f Failure) String() string { return failureNames[f] }

// Failures returns all of them.
func Failures() []Failure {
	var all []Failure
	for f := range failures {
		all = append(all, f)
	}
	return all
}

// explained is an error in the words of this program.
type explained struct {
	words string
	why   error
}

func (e *explained) Error() string { return e.words }
func (e *explained) Unwrap() error { return e.why }

// failureOf returns why an attempt failed.
func failureOf(err error) Failure {
	var word *Error
	switch {
	case errors.As(err, &word) && word.Code == codeHold, late(err):
		return Unanswered
	case disagrees(err):
		return Disagreed
	case errors.Is(err, unix.ECONNREFUSED):
		return Refused
	case errors.Is(err, unix.EHOSTUNREACH), errors.Is(err, unix.ENETUNREACH), errors.Is(err, unix.EADDRNOTAVAIL):
		return Unreachable
	case errors.Is(err, errClosed):
		return Closed
	}
	return Other
}
