package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadKeys(t *testing.T) {
	const text = "a key of thirty-two bytes, text."
	binary := bytes.Repeat([]byte{0xff}, 31)
	tests := []struct {
		name, content string
		mode          os.FileMode
		want          string // of the key, or
		err           string // of the error behind the path
	}{
		{"32 bytes", text, 0o600, text, ""},
		{"64 bytes", text + text, 0o400, text + text, ""},
		{"readable by the group", text, 0o640, text, ""},
		{"newline behind a text", text + "\n", 0o600, text, ""},
		{"newline behind 64 bytes", text + text + "\n", 0o600, text + text, ""},
		{"newline of a binary key", string(binary) + "\n", 0o600, string(binary) + "\n", ""},
		{"one newline only", text[:31] + "\n\n", 0o600, text[:31] + "\n\n", ""},
		{"empty", "", 0o600, "", `only 0 bytes: a key has 32 to 64, "head -c 32 /dev/urandom" makes one`},
		{"short", text[:31] + "\n", 0o600, "", `only 31 bytes: a key has 32 to 64, "head -c 32 /dev/urandom" makes one`},
		{"long", text + text + "x", 0o600, "", "more than 64 bytes: a key has 32 to 64"},
		{"longer", strings.Repeat(text, 100), 0o600, "", "more than 64 bytes: a key has 32 to 64"},
		{"world-readable", text, 0o644, "", `everybody on this host has access (mode 0644): run "chmod 600" on it, and make a new key if others could log in here`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			file := filepath.Join(t.TempDir(), "key")
			if err := os.WriteFile(file, []byte(tt.content), 0o600); err != nil {
				t.Fatal(err)
			}
			if err := os.Chmod(file, tt.mode); err != nil {
				t.Fatal(err)
			}
			keys, err := (&Auth{Keys: []Key{{ID: 7, File: file}}}).ReadKeys()
			if tt.err != "" {
				want := "reading key 7 (" + file + "): " + tt.err
				if err == nil || err.Error() != want {
					t.Errorf("error is %v, want %s", err, want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(map[uint8][]byte{7: []byte(tt.want)}, keys); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReadKeysRefusesFIFO(t *testing.T) {
	file := filepath.Join(t.TempDir(), "fifo")
	if err := syscall.Mkfifo(file, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := (&Auth{Keys: []Key{{ID: 1, File: file}}}).ReadKeys()
	if want := "reading key 1 (" + file + "): not a regular file"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestReadKeysForeignOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give a file away")
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, bytes.Repeat([]byte("k"), 32), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(file, 12345, -1); err != nil {
		t.Fatal(err)
	}
	_, err := (&Auth{Keys: []Key{{ID: 1, File: file}}}).ReadKeys()
	if want := "reading key 1 (" + file + "): belongs to user 12345: run \"chown root\" on it"; err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}
}

func TestReadKeysCredential(t *testing.T) {
	auth := &Auth{Keys: []Key{{ID: 3, Credential: "vrrp"}}}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	_, err := auth.ReadKeys()
	want := "reading key 3 (credential vrrp): $CREDENTIALS_DIRECTORY is not set: add LoadCredential=vrrp:/path to the unit, or name a file"
	if err == nil || err.Error() != want {
		t.Errorf("error is %v, want %s", err, want)
	}

	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	key := bytes.Repeat([]byte("k"), 32)
	if err := os.WriteFile(filepath.Join(dir, "vrrp"), key, 0o400); err != nil {
		t.Fatal(err)
	}
	keys, err := auth.ReadKeys()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[uint8][]byte{3: key}, keys); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestKeysStayOutOfSight prints everything that there is to print once keys were
// read, and an error about one that can't be used.
func TestKeysStayOutOfSight(t *testing.T) {
	const secret = "SECRET"
	dir := t.TempDir()
	good, bad := filepath.Join(dir, "good"), filepath.Join(dir, "bad")
	for file, n := range map[string]int{good: 6, bad: 20} {
		if err := os.WriteFile(file, []byte(strings.Repeat(secret, n)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := &Config{Auth: &Auth{Keys: []Key{{ID: 1, File: good}}}}
	if _, err := c.Auth.ReadKeys(); err != nil {
		t.Fatal(err)
	}
	_, err := (&Auth{Keys: []Key{{ID: 1, File: bad}}}).ReadKeys()
	asJSON, _ := json.Marshal(c)
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("keys", "auth", c.Auth, "key", c.Auth.Keys[0], "err", err)
	for _, text := range []string{
		err.Error(), string(asJSON), log.String(),
		fmt.Sprint(c.Auth), fmt.Sprintf("%+v", *c.Auth), fmt.Sprintf("%#v", *c.Auth), c.Auth.Keys[0].String(),
	} {
		if strings.Contains(text, secret) {
			t.Errorf("shows a key: %s", text)
		}
	}
}
