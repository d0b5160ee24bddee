package migrate

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// disk is the source of files that are really there.
type disk struct{}

// Read reads a regular file, not much more of it than could be sensible.
func (disk) Read(path string) ([]byte, error) {
	// Without O_NONBLOCK the opening of a named pipe would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read what is to be translated: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText+1))
	if err != nil {
		return nil, fmt.Errorf("read what is to be translated: %w", err)
	}
	return b, nil
}

// Match returns the files in order, as glob(3) does.
func (disk) Match(pattern string) ([]string, error) {
	paths, err := filepath.Glob(pattern)
	slices.Sort(paths)
	return paths, err
}
