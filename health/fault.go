package health

import (
	"context"
	"errors"
	"io"
	"os"
	"syscall"
)

// fault is a probe's failure in words that tell the operator what is wrong and,
// where it is known, what to do.
type fault struct {
	words string
	cause error
}

func (f *fault) Error() string { return f.words }
func (f *fault) Unwrap() error { return f.cause }

// refused reports whether nobody listens: the proof that the server is dead.
func refused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }

// broken reports whether the other end closed the connection.
func broken(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE)
}

func timedOut(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, os.ErrDeadlineExceeded)
}
