package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/vipd/vipd/doctor"
)

// Doctor works without an agent, says what is wrong, and fails.
func TestDoctor(t *testing.T) {
	dir := files(t)
	got := vipd(t, dir, "doctor", "--listen", "0s", "--config", "bad.toml", "--runtime-dir", "run")
	if got.code != 1 || got.stderr != "vipd: what is marked as error has to be mended\n" {
		t.Errorf("%+v", got)
	}
	const want = "error    bad.toml: bad.toml:3: vip.vrid: 0 is out of range: choose 1 to 255, unique on this network segment; then: vipd check && systemctl reload vipd [config-unusable]\n"
	if !strings.Contains(got.stdout, want) {
		t.Errorf("%s", got.stdout)
	}
	got = vipd(t, dir, "doctor", "--json", "--listen", "0s", "--config", "none.toml", "--runtime-dir", "run")
	var r doctor.Report
	if err := json.Unmarshal([]byte(got.stdout), &r); err != nil || !r.Failed() || r.Config != "none.toml" {
		t.Errorf("%v: %+v", err, got)
	}
}

// What a hostile file holds is not shown.
func TestDoctorKeepsSecrets(t *testing.T) {
	dir := files(t)
	const secret = "this is a secret of far more than 32 bytes, so it is a good key"
	key := filepath.Join(dir, "key")
	if err := os.WriteFile(key, []byte(secret), 0o644); err != nil { // others may read it: refused
		t.Fatal(err)
	}
	text := good + "[auth]\nactive_key = 1\nkeys = [{ id = 1, file = \"" + key + "\" }]\n"
	if err := os.WriteFile(filepath.Join(dir, "auth.toml"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	got := vipd(t, dir, "doctor", "--listen", "0s", "--config", "auth.toml", "--runtime-dir", "run")
	if os.Geteuid() == 0 && !strings.Contains(got.stdout, "[auth-key-unusable]") {
		t.Errorf("%s", got.stdout)
	}
	if strings.Contains(got.stdout+got.stderr, secret) {
		t.Error("the key is shown")
	}
}

func TestDoctorUsage(t *testing.T) {
	for args, want := range map[string]string{
		"doctor --listen -1s": "vipd: --listen -1s: choose a time with its unit from 0s to 3m\n" + see("doctor"),
		"doctor --listen 1h":  "vipd: --listen 1h: choose a time with its unit from 0s to 3m\n" + see("doctor"),
		"doctor k3s":          "vipd: unexpected argument \"k3s\"\n" + see("doctor"),
		"doctor --fix":        "vipd: unknown flag: --fix\n" + see("doctor"),
	} {
		if got := vipd(t, t.TempDir(), strings.Fields(args)...); got.code != 2 || got.stderr != want || got.stdout != "" {
			t.Errorf("%s: %+v", args, got)
		}
	}
}
