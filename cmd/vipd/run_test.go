package main

import (
	"context"
	"log/slog"
	"os"
	"syscall"
	"testing"
	"time"
)

// SIGUSR1 ends the agent for a restart; from then on neither signal does anything, let
// alone kill it, whenever it arrives.
func TestSignals(t *testing.T) {
	for range 100 { // it takes the kernel to be slow: one time in thirty, on a busy machine
		restartBySignal(t)
	}
}

func restartBySignal(t *testing.T) {
	ctx, end := context.WithCancel(t.Context())
	defer end()
	s := &signals{paths: &paths{runtimeDir: t.TempDir()}, log: slog.New(slog.DiscardHandler), end: end}
	s.handle(ctx)
	send := func(sig syscall.Signal) {
		t.Helper()
		if err := syscall.Kill(os.Getpid(), sig); err != nil {
			t.Fatal(err)
		}
	}
	send(syscall.SIGHUP) // there is no agent to reload: an error that is logged
	send(syscall.SIGUSR1)
	select {
	case <-ctx.Done():
	case <-time.After(5 * time.Second):
		t.Fatal("SIGUSR1 does not end the agent")
	}
	if !s.restart.Load() {
		t.Error("it is not told that it is a restart")
	}
	for range 10 {
		send(syscall.SIGUSR1)
		send(syscall.SIGHUP)
	}
}
