package main

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// asVipd makes this test binary behave as vipd.
const asVipd = "VIPD_TEST_AS_VIPD"

func TestMain(m *testing.M) {
	if os.Getenv(asVipd) != "" {
		os.Exit(run(os.Args[1:]))
	}
	os.Exit(m.Run())
}

// outcome is what a command line came to.
type outcome struct {
	code           int
	stdout, stderr string
}

// vipd runs a command line in the directory dir.
func vipd(t *testing.T, dir string, args ...string) outcome {
	t.Helper()
	return outcomeOf(t, vipdCommand(t, dir, args...))
}

func outcomeOf(t *testing.T, cmd *exec.Cmd) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// see is what follows after wrong usage of a command; "": of none.
func see(command string) string {
	usage := map[string]string{
		"":           "command [option ...]",
		"check":      "check",
		"completion": "completion bash | fish | powershell | zsh",
		"doctor":     "doctor [--all] [--json] [--listen duration]",
		"drain":      "drain [--until-ready] [--wait]",
		"help":       "help [command]",
		"history":    "history [--json] [--last number] [--since time] [--vip name]",
		"init":       "init --address A | --from-keepalived FILE | --from-kube-vip FILE [option ...]",
		"run":        "run [--debug]",
		"status":     "status [--json] [--watch]",
		"watch":      "watch [option ...]",
	}
	path := strings.TrimSpace("vipd " + command)
	return "Usage: vipd " + usage[command] + "\nSee: " + path + " --help\n"
}

// vipdCommand is a command line in the directory dir.
func vipdCommand(t *testing.T, dir string, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	cmd.Env = append(os.Environ(), asVipd+"=1", "GORACE=atexit_sleep_ms=0")
	cmd.Dir = dir
	return cmd
}

const (
	good       = "[[vip]]\naddresses = [\"198.51.100.100\"]\nvrid = 51\n"
	bad        = "[[vip]]\naddresses = [\"198.51.100.100\"]\nvrid = 0\npriority = 300\n"
	credential = good + "[auth]\nactive_key = 1\nkeys = [{ id = 1, credential = \"vrrp\" }]\n"
	hook       = "[[hook]]\non = [\"active\"]\ncommand = [\"/usr/local/bin/vip-moved\"]\n"
	badHook    = good + "[[hook]]\non = [\"master\"]\ncommand = [\"/usr/local/bin/vip-moved\"]\n"
	keyless    = good + "[auth]\nactive_key = 1\nkeys = [{ id = 1, file = \"/nonexistent/key\" }]\n"
)

// files are in the directory in which each command line of the table runs.
func files(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"good.toml": good, "bad.toml": bad, "keyless.toml": keyless, "credential.toml": credential,
		"hooks.toml": good + hook + hook, "badhook.toml": badHook} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestCommandLines(t *testing.T) {
	const notRunning = "vipd: the agent is not running (nothing answers on run/control.sock): start it with: systemctl start vipd\n"
	tests := map[string]struct {
		args string
		want outcome
	}{
		"unknown command":    {"stauts", outcome{2, "", "vipd: there is no command \"stauts\"\n" + see("")}},
		"unknown flag":       {"status --jsn", outcome{2, "", "vipd: unknown flag: --jsn\n" + see("status")}},
		"unknown short flag": {"-x", outcome{2, "", "vipd: unknown shorthand flag: 'x' in -x\n" + see("")}},
		"flag without value": {"check --config", outcome{2, "", "vipd: flag needs an argument: --config\n" + see("check")}},
		"argument":           {"drain k3s", outcome{2, "", "vipd: unexpected argument \"k3s\"\n" + see("drain")}},
		"argument of check":  {"check vipd.toml", outcome{2, "", "vipd: unexpected argument \"vipd.toml\"\n" + see("check")}},
		"run, no file": {"run --config none.toml --runtime-dir run", outcome{78, "",
			"vipd: reading the configuration: open none.toml: no such file or directory: write it with: vipd init --address A\n"}},
		"run, bad file": {"run --config bad.toml --runtime-dir run", outcome{78, "",
			"vipd: bad.toml:3: vip.vrid: 0 is out of range: choose 1 to 255, unique on this network segment\n" +
				"bad.toml:4: vip.priority: 300 is out of range: choose 100 to 254\n"}},
		"check": {"check --config good.toml", outcome{0, "good.toml is valid (VIPs: 1, checks: 1)\n", ""}},
		"check, bad": {"check --config bad.toml", outcome{1, "",
			"vipd: bad.toml:3: vip.vrid: 0 is out of range: choose 1 to 255, unique on this network segment\n" +
				"bad.toml:4: vip.priority: 300 is out of range: choose 100 to 254\n"}},
		"check, no key": {"check --config keyless.toml", outcome{1, "",
			"vipd: reading key 1 (/nonexistent/key): open /nonexistent/key: no such file or directory\n"}},
		"check, credential": {"check --config credential.toml", outcome{0, "credential.toml is valid (VIPs: 1, checks: 1)\n", ""}},
		"check, no file":    {"check --config none.toml", outcome{1, "", "vipd: reading the configuration: open none.toml: no such file or directory: write it with: vipd init --address A\n"}},
		"check, directory":  {"check --config .", outcome{1, "", "vipd: reading the configuration: read .: is a directory: name the file in it\n"}},
		"status, no agent":  {"status --runtime-dir run", outcome{1, "", notRunning}},
		"watch, no agent":   {"status --watch --runtime-dir run", outcome{1, "", notRunning}},
		"history, no agent": {"history --runtime-dir run", outcome{1, "", notRunning}},
		"history, bad time": {"history --since yesterday", outcome{2, "", "vipd: --since yesterday is not a time: write how long ago, as in 2h or 3d, or a time, as in 03:15 or \"2026-03-01 03:15\"\n" + see("history")}},
		"history, negative": {"history -n -1", outcome{2, "", "vipd: --last -1: choose a whole number above 0\n" + see("history")}},
		"check, hooks":      {"check --config hooks.toml", outcome{0, "hooks.toml is valid (VIPs: 1, checks: 1, hooks: 2)\n", ""}},
		"check, bad hook": {"check --config badhook.toml", outcome{1, "",
			"vipd: badhook.toml:5: hook.on: \"master\" is not known: choose \"active\", \"backup\", \"initialize\", \"ready\", \"degraded\", \"down\" or \"conflict\"\n"}},
		"drain, no agent":    {"drain --wait --runtime-dir run", outcome{1, "", notRunning}},
		"resume, no agent":   {"resume --runtime-dir run", outcome{1, "", notRunning}},
		"reload, no agent":   {"reload --runtime-dir run", outcome{1, "", notRunning}},
		"init, no address":   {"init", outcome{2, "", "vipd: --address is missing: say which IP address the cluster's API is to have\n" + see("init")}},
		"init, bad address":  {"init --address 198.51.100.100/24", outcome{2, "", "vipd: --address 198.51.100.100/24 is not an IP address: write it without a prefix length, as in 192.0.2.100\n" + see("init")}},
		"init, no such vrid": {"init --address 198.51.100.100 --vrid 256", outcome{2, "", "vipd: --vrid 256: choose a number from 1 to 255\n" + see("init")}},
		"init, priority":     {"init --address 198.51.100.100 --priority 300", outcome{2, "", "vipd: --priority 300: choose a number from 100 to 254\n" + see("init")}},
		"init, low":          {"init --address 198.51.100.100 --priority 50", outcome{2, "", "vipd: --priority 50: choose a number from 100 to 254\n" + see("init")}},
		"init, no unit": {"init --address 198.51.100.100 --advert-interval 5", outcome{2, "",
			"vipd: --advert-interval 5: choose a time with its unit from 10ms to 40.95s, in steps of 10ms\n" + see("init")}},
		"init, odd step": {"init --address 198.51.100.100 --advert-interval 15ms", outcome{2, "",
			"vipd: --advert-interval 15ms: choose a time with its unit from 10ms to 40.95s, in steps of 10ms\n" + see("init")}},
		"no such number":       {"history -n many", outcome{2, "", "vipd: --last many: choose a whole number above 0\n" + see("history")}},
		"a number and more":    {"watch --count 3x", outcome{2, "", "vipd: --count 3x: choose a whole number above 0\n" + see("watch")}},
		"neither yes nor no":   {"status --json=perhaps", outcome{2, "", "vipd: --json perhaps: choose true or false, or leave the value out\n" + see("status")}},
		"an empty value":       {"check --config=", outcome{2, "", "vipd: --config \"\": it is empty: give it a value, or leave the flag out\n" + see("check")}},
		"help of nothing":      {"help stauts", outcome{2, "", "vipd: there is no command \"stauts\"\n" + see("help")}},
		"help of too much":     {"help status now", outcome{2, "", "vipd: there is no command \"now\"\n" + see("help")}},
		"no shell":             {"completion", outcome{2, "", "vipd: for which shell?\n" + see("completion")}},
		"init, file is there":  {"init --address 198.51.100.100 --interface eth0 --vrid 51 --config good.toml", outcome{1, "", "vipd: good.toml exists: edit it, or overwrite it with --force\n"}},
		"init, no directory":   {"init --address 198.51.100.100 --interface eth0 --vrid 51 --output good.toml/vipd.toml", outcome{1, "", "vipd: see whether the configuration exists: lstat good.toml/vipd.toml: not a directory\n"}},
		"init, output's there": {"init --address 198.51.100.100 --interface eth0 --vrid 51 --output bad.toml", outcome{1, "", "vipd: bad.toml exists: edit it, or overwrite it with --force\n"}},
	}
	dir := files(t)
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, vipd(t, dir, strings.Fields(tt.args)...), cmp.AllowUnexported(outcome{})); diff != "" {
				t.Errorf("vipd %s (-want +got):\n%s", tt.args, diff)
			}
		})
	}
}

// What init writes, check accepts.
func TestInit(t *testing.T) {
	dir := files(t)
	args := strings.Fields("init --address 198.51.100.100 --address 2001:db8::100 --interface absent0 --vrid 51 --priority 150 --advert-interval 1s")
	got := vipd(t, dir, append(args, "--output", "deep/vipd.toml")...)
	want := outcome{0, `wrote deep/vipd.toml:

  [[vip]]
  name = "k3s"
  addresses = ["198.51.100.100", "2001:db8::100"]
  interface = "absent0"
  vrid = 51
  priority = 150
  advert_interval = "1s"

Now do the same on the other servers, or copy it there. Then on each: systemctl enable --now vipd
`, ""}
	// What else it says is of the K3s of the machine that the tests run on.
	const note = "note: there is no interface absent0 on this host: ip link shows what there is; so it was not seen whether somebody has the addresses, or uses VRID 51\n"
	if !strings.HasPrefix(got.stderr, note) {
		t.Errorf("it says %q, want %q", got.stderr, note)
	}
	got.stderr = ""
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Fatalf("(-want +got):\n%s", diff)
	}
	if got := vipd(t, dir, "check", "--config", "deep/vipd.toml"); got.code != 0 {
		t.Errorf("check refuses it: %s", got.stderr)
	}
	written, err := os.ReadFile(filepath.Join(dir, "deep/vipd.toml"))
	if err != nil {
		t.Fatal(err)
	}
	shown := vipd(t, dir, append(args, "--output", "-")...)
	shown.stderr = ""
	if diff := cmp.Diff(outcome{0, string(written), ""}, shown, cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("on standard output (-want +got):\n%s", diff)
	}
	if got := vipd(t, dir, append(args, "--output", "bad.toml", "--force")...); got.code != 0 {
		t.Errorf("--force: %s", got.stderr)
	}
	forced, err := os.ReadFile(filepath.Join(dir, "bad.toml"))
	if err != nil || string(forced) != string(written) {
		t.Errorf("--force wrote %q, %v", forced, err)
	}
}

// A wish that no configuration can hold writes nothing.
func TestInitImpossible(t *testing.T) {
	dir := files(t)
	for wish, code := range map[string]int{"--priority 50": 2, "--advert-interval 5ms": 2, "--address 127.0.0.1": 1, "--interface lo": 1} {
		args := strings.Fields("init --address 198.51.100.100 --interface absent0 --vrid 51 --output new.toml " + wish)
		got := vipd(t, dir, args...)
		if got.code != code || !strings.HasPrefix(got.stderr, "vipd: ") || got.stdout != "" {
			t.Errorf("%s: %+v", wish, got)
		}
		if _, err := os.Stat(filepath.Join(dir, "new.toml")); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s: %v", wish, err)
		}
	}
}

// Who cannot be told the result must not be told that all is well.
func TestFullOutput(t *testing.T) {
	dir := files(t)
	for _, args := range []string{"", "--help", "help drain", "check --config good.toml", "version", "completion bash",
		"init --address 198.51.100.100 --interface absent0 --vrid 51 --output -", "init --address 198.51.100.100 --interface absent0 --vrid 51 --output new.toml"} {
		full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer full.Close()
		var stderr bytes.Buffer
		cmd := vipdCommand(t, dir, strings.Fields(args)...)
		cmd.Stdout, cmd.Stderr = full, &stderr
		if err := cmd.Run(); cmd.ProcessState.ExitCode() != 1 {
			t.Errorf("vipd %s: %v", args, err)
		}
		if got := stderr.String(); !strings.Contains(got, "vipd: write ") || !strings.HasSuffix(got, ": no space left on device\n") {
			t.Errorf("vipd %s: %q", args, got)
		}
	}
}

func TestVersion(t *testing.T) {
	got := vipd(t, t.TempDir(), "version")
	if got.code != 0 || !strings.HasPrefix(got.stdout, "vipd development (go1.") || got.stderr != "" {
		t.Errorf("%+v", got)
	}
}

func TestCompletion(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		if got := vipd(t, t.TempDir(), "completion", shell); got.code != 0 || !strings.Contains(got.stdout, "vipd") || got.stderr != "" {
			t.Errorf("%s: exit %d, %d bytes, %s", shell, got.code, len(got.stdout), got.stderr)
		}
	}
	want := outcome{2, "", "vipd: there is no completion for \"tcsh\"\n" + see("completion")}
	if diff := cmp.Diff(want, vipd(t, t.TempDir(), "completion", "tcsh"), cmp.AllowUnexported(outcome{})); diff != "" {
		t.Errorf("tcsh (-want +got):\n%s", diff)
	}
}

// Each command says what it is, and one that has flags of its own shows an example.
func TestHelp(t *testing.T) {
	if got := vipd(t, t.TempDir()); got.code != 0 || !strings.Contains(got.stdout, "Usage:") {
		t.Errorf("vipd alone: %+v", got)
	}
	for _, cmd := range newRoot().Commands() {
		t.Run(cmd.Name(), func(t *testing.T) {
			if cmd.Short == "" || strings.HasSuffix(cmd.Short, ".") {
				t.Errorf("short line: %q", cmd.Short)
			}
			if cmd.LocalNonPersistentFlags().HasFlags() && cmd.Example == "" {
				t.Error("has flags and no example")
			}
			if cmd.Args == nil || cmd.Args(cmd, []string{"x"}) == nil {
				t.Error("takes an argument and ignores it")
			}
			root := newRoot()
			var out bytes.Buffer
			root.SetOut(&out)
			root.SetArgs([]string{cmd.Name(), "--help"})
			if err := root.Execute(); err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{"Usage:\n  vipd " + cmd.Name(), cmd.Example, "--config", "--runtime-dir"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("help lacks %q", want)
				}
			}
		})
	}
}
