package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Lengths of a key in bytes.
const (
	MinKeyLen = 32
	MaxKeyLen = 64
)

// ReadKeys reads the keys and returns them by ID. A key is the bytes of its
// file; if they are printable ASCII followed by one newline, the newline is an
// editor's and does not count. A file that others may read, or that belongs to
// somebody other than root or the caller, is refused. Errors tell of every key
// that can't be used and hold none of its bytes.
func (a *Auth) ReadKeys() (map[uint8][]byte, error) {
	keys := make(map[uint8][]byte, len(a.Keys))
	var errs []error
	for _, k := range a.Keys {
		b, err := k.read()
		if err != nil {
			errs = append(errs, fmt.Errorf("reading %s: %w", k, err))
			continue
		}
		keys[k.ID] = b
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return keys, nil
}

func (k Key) read() ([]byte, error) {
	b, err := k.contents(MaxKeyLen)
	if err != nil {
		return nil, err
	}
	if len(b) > MaxKeyLen {
		return nil, fmt.Errorf("more than %d bytes: a key has %d to %d", MaxKeyLen, MinKeyLen, MaxKeyLen)
	}
	if len(b) < MinKeyLen {
		return nil, fmt.Errorf("only %d bytes: a key has %d to %d, \"head -c 32 /dev/urandom\" makes one", len(b), MinKeyLen, MaxKeyLen)
	}
	return b, nil
}

// contents returns the secret, and no more than a byte above limit if it is longer.
func (k Key) contents(limit int64) ([]byte, error) {
	path := k.File
	if k.Credential != "" {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, fmt.Errorf("$CREDENTIALS_DIRECTORY is not set: add LoadCredential=%s:/path to the unit, or name a file", k.Credential)
		}
		path = filepath.Join(dir, k.Credential)
	}
	// Without O_NONBLOCK the opening of a named pipe would wait for a writer.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if err := private(info); err != nil {
		return nil, err
	}
	b, err := io.ReadAll(io.LimitReader(f, limit+2))
	if err != nil {
		return nil, err
	}
	return trimNewline(b), nil
}

// private refuses a file that others could have read or put there.
func private(info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return errors.New("not a regular file")
	}
	if mode := info.Mode().Perm(); mode&0o007 != 0 {
		return fmt.Errorf("everybody on this host has access (mode %#o): run \"chmod 600\" on it, and make a new key if others could log in here", mode)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return errors.New("its owner is unknown")
	}
	if stat.Uid != 0 && int(stat.Uid) != os.Geteuid() {
		return fmt.Errorf("belongs to user %d: run \"chown root\" on it", stat.Uid)
	}
	return nil
}

// trimNewline removes the newline that an editor put behind a text. A binary key
// keeps every byte.
func trimNewline(b []byte) []byte {
	if len(b) == 0 || b[len(b)-1] != '\n' {
		return b
	}
	text := b[:len(b)-1]
	for _, c := range text {
		if c < ' ' || c > '~' {
			return b
		}
	}
	return text
}
