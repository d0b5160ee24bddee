package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vipd/vipd/test/standin/apiserver"
)

// asProgram in the environment makes the test binary the program.
const asProgram = "STANDIN_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// program is a running stand-in.
type program struct {
	cmd     *exec.Cmd
	plain   string
	control apiserver.Control
	done    chan error
	stderr  bytes.Buffer
}

func command(t *testing.T, args ...string) *exec.Cmd {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], args...)
	// Under the race detector a program otherwise idles for a second at its end.
	cmd.Env = append(os.Environ(), asProgram+"=1", "GORACE=atexit_sleep_ms=0")
	return cmd
}

// startProgram starts a stand-in under a make-believe systemd and waits until it
// says that it is ready.
func startProgram(t *testing.T, dir string, extra ...string) *program {
	t.Helper()
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "notify"), Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer notify.Close()
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	plain.Close()
	p := &program{
		plain:   plain.Addr().String(),
		control: apiserver.Control{Path: filepath.Join(dir, "control.sock")},
		done:    make(chan error, 1),
	}
	p.cmd = command(t, append([]string{
		"server", "--data-dir", filepath.Join(dir, "k3s"), "--name", "node1", "--listen", "127.0.0.1:0",
		"--plain", p.plain, "--control", p.control.Path, "--start-scale", "0.01",
	}, extra...)...)
	p.cmd.Env = append(p.cmd.Env, "NOTIFY_SOCKET="+notify.LocalAddr().String())
	p.cmd.Stderr = &p.stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { p.done <- p.cmd.Wait() }()
	if err := notify.SetReadDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 64)
	n, err := notify.Read(buf)
	if err != nil || string(buf[:n]) != "READY=1" {
		_ = p.cmd.Process.Kill()
		<-p.done
		t.Fatalf("systemd heard %q, %v: %s", buf[:n], err, &p.stderr)
	}
	return p
}

func TestServeInPlaceOfK3s(t *testing.T) {
	p := startProgram(t, t.TempDir(),
		"--cluster-init", "--flannel-iface", "eth0", "--node-ip=198.51.100.1", "--tls-san", "203.0.113.9", "--disable=traefik")
	got, err := p.control.Mode(t.Context())
	if err != nil || got.Kind != apiserver.Ready {
		t.Errorf("mode %s, %v, want ready", got, err)
	}

	out, err := command(t, "ctl", "--control", p.control.Path, "mode", "slow", "5ms").CombinedOutput()
	if err != nil || strings.TrimSpace(string(out)) != "slow 5ms" {
		t.Errorf("ctl mode slow 5ms: %q, %v", out, err)
	}
	out, err = command(t, "ctl", "--control", p.control.Path, "mode", "nonsense").CombinedOutput()
	if err == nil || !strings.Contains(string(out), `unknown mode "nonsense"`) {
		t.Errorf("ctl mode nonsense: %q, %v", out, err)
	}

	idle, err := net.Dial("tcp", p.plain)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Close()
	if _, err := io.ReadFull(idle, make([]byte, len("node1\n"))); err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	if _, err := idle.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("SIGTERM ended the idle connection with %v, want a reset", err)
	}
	if err := <-p.done; err != nil {
		t.Errorf("exit: %v: %s", err, &p.stderr)
	}
}

func TestStartsAgainAfterSIGKILL(t *testing.T) {
	dir := t.TempDir()
	for range 2 {
		p := startProgram(t, dir)
		if err := p.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		<-p.done
		if _, err := net.Dial("tcp", p.plain); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("after its death: %v, want refused", err)
		}
	}
}

func TestPKICommand(t *testing.T) {
	dir := t.TempDir()
	for _, node := range []string{"a", "b"} {
		out, err := command(t, "pki", "--data-dir", filepath.Join(dir, node), "--ca-dir", filepath.Join(dir, "ca"),
			"--san", "203.0.113.9", "--tls-san", "vip.example").CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	a, b := readFile(t, dir, "a/server/tls/server-ca.crt"), readFile(t, dir, "b/server/tls/server-ca.crt")
	if a != b {
		t.Error("the nodes' authorities differ")
	}
}

func readFile(t *testing.T, elem ...string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(elem...))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
