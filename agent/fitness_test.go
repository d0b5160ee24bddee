package agent

import (
	"log/slog"
	"testing"
	"time"

	"github.com/vipd/vipd/config"
	"github.com/vipd/vipd/test/lab"
)

// A reload that takes out a check gets on although its program cannot be killed.
func TestMonitorReplacedWhileACheckHangs(t *testing.T) {
	c, err := newClock()
	must(t, err)
	a := &Agent{clock: c, ctx: t.Context(), record: newRecorder(slog.New(slog.DiscardHandler)), failed: make(chan error, 1)}
	a.live.Store(new([]*router))
	s := newStage(t, "", time.Minute) // for its directory
	stuck := config.Check{Type: config.CheckExec, Command: s.hook("echo $$ >new; mv new pid; exec sleep 600", 0).Command,
		Interval: time.Second, Timeout: time.Minute, Fall: 1, Rise: 1}
	must(t, a.startMonitor(&config.Config{Checks: []config.Check{stuck}}))
	lab.Hold(t, s.child())
	done := make(chan error, 1)
	go func() { done <- a.startMonitor(&config.Config{Checks: []config.Check{{Type: config.CheckNone}}}) }()
	select {
	case err := <-done:
		must(t, err)
	case <-time.After(10 * time.Second):
		t.Fatal("the new monitor waits for the program of the old one")
	}
	a.stopMon()
}
