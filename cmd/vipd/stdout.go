package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// stdout remembers that something could not be written: not all that write there can
// tell, such as the help.
type stdout struct {
	file *os.File
	err  error
}

// Write implements [io.Writer].
func (s *stdout) Write(b []byte) (int, error) {
	n, err := s.file.Write(b)
	if err == nil {
		return n, nil
	}
	if path := (*fs.PathError)(nil); errors.As(err, &path) {
		err = path.Err
	}
	s.err = fmt.Errorf("write to standard output: %w", err)
	return n, s.err
}

// Fd is that of the file: a terminal gets colours.
func (s *stdout) Fd() uintptr { return s.file.Fd() }
