package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// ordinary returns a directory, and what runs command lines there as an ordinary user.
func ordinary(t *testing.T) (dir string, vipd func(args ...string) outcome) {
	t.Helper()
	dir, err := os.MkdirTemp("", "vipd-user-") // that of t is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	program := filepath.Join(dir, "vipd")
	if err := clone(os.Args[0], program); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir, func(args ...string) outcome {
		t.Helper()
		cmd := vipdCommand(t, dir, args...)
		cmd.Path = program
		if os.Geteuid() == 0 {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		}
		return outcomeOf(t, cmd)
	}
}

func clone(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	defer w.Close()
	_, err = io.Copy(w, r)
	return err
}

// An ordinary user is told what he may not, and who may.
func TestOrdinaryUser(t *testing.T) {
	dir, vipd := ordinary(t)
	const auth = good + "[auth]\nactive_key = 1\nkeys = [{ id = 1, file = \"/DIR/closed/key\" }]\n"
	both := strings.Replace(auth, " }]", " }, { id = 2, file = \"/DIR/missing\" }]", 1)
	for name, text := range map[string]string{
		"good.toml": good, "closed.toml": good,
		"auth.toml": strings.ReplaceAll(auth, "/DIR", dir), "both.toml": strings.ReplaceAll(both, "/DIR", dir),
	} {
		mode := os.FileMode(0o644)
		if name == "closed.toml" {
			mode = 0
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "closed"), 0o000); err != nil {
		t.Fatal(err)
	}
	const socket = "vipd: no permission to open closed/control.sock: run the command as root\n"
	for args, want := range map[string]outcome{
		"check --config good.toml": {0, "good.toml is valid (VIPs: 1, checks: 1)\n", ""},
		"check --config closed.toml": {1, "",
			"vipd: reading the configuration: open closed.toml: permission denied: run the command as root\n"},
		"check --config auth.toml": {1, "",
			"vipd: auth.toml is valid, but not everybody may read the keys and passwords that it names: check them as root\n" +
				"reading key 1 (" + dir + "/closed/key): open " + dir + "/closed/key: permission denied\n"},
		"check --config both.toml": {1, "",
			"vipd: reading key 1 (" + dir + "/closed/key): open " + dir + "/closed/key: permission denied\n" +
				"reading key 2 (" + dir + "/missing): open " + dir + "/missing: no such file or directory\n"},
		"status --runtime-dir closed":  {1, "", socket},
		"history --runtime-dir closed": {1, "", socket},
		"drain --runtime-dir closed":   {1, "", socket},
		"resume --runtime-dir closed":  {1, "", socket},
		"reload --runtime-dir closed":  {1, "", socket},
	} {
		if diff := cmp.Diff(want, vipd(strings.Fields(args)...), cmp.AllowUnexported(outcome{})); diff != "" {
			t.Errorf("vipd %s (-want +got):\n%s", args, diff)
		}
	}
}
