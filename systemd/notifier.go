package systemd

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/coreos/go-systemd/v22/activation"
	"github.com/coreos/go-systemd/v22/daemon"
	"golang.org/x/sys/unix"
)

// Notifier tells systemd how the service fares (sd_notify(3)). A call never
// waits: when systemd does not read, it fails with EAGAIN. Where systemd did not
// start the process, every call does nothing and succeeds.
//
// Its methods may be called by several goroutines.
type Notifier struct {
	socket string // empty: nobody listens
}

// NewNotifier returns a Notifier for the socket that systemd put into the
// environment (NOTIFY_SOCKET).
func NewNotifier() *Notifier {
	return &Notifier{socket: os.Getenv("NOTIFY_SOCKET")}
}

// Ready tells that start-up or a reload is complete.
func (n *Notifier) Ready() error { return n.notify(daemon.SdNotifyReady) }

// Stopping tells that the service has begun to shut down.
func (n *Notifier) Stopping() error { return n.notify(daemon.SdNotifyStopping) }

// Watchdog tells that the service is alive. See [WatchdogInterval].
func (n *Notifier) Watchdog() error { return n.notify(daemon.SdNotifyWatchdog) }

// Reloading tells that a reload has begun; [Notifier.Ready] ends it.
func (n *Notifier) Reloading() error {
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &now); err != nil {
		return fmt.Errorf("reading the monotonic clock: %w", err)
	}
	// Type=notify-reload takes the message only with the time of the reload.
	return n.notify(fmt.Sprintf("%s\nMONOTONIC_USEC=%d", daemon.SdNotifyReloading, now.Nano()/1000))
}

// Status sets the line that systemctl status shows.
func (n *Notifier) Status(text string) error {
	// A line break would begin another assignment.
	return n.notify("STATUS=" + strings.ReplaceAll(text, "\n", " "))
}

// Store has systemd keep a file for the next start of the service, under a name without a
// colon (FileDescriptorStoreMax= in the unit). The next process finds it with [Inherited].
func (n *Notifier) Store(name string, f *os.File) error {
	if n.socket == "" {
		return errors.New("systemd did not start this process, and so keeps nothing for the next")
	}
	message := []byte("FDSTORE=1\nFDNAME=" + name)
	if err := sendDatagram(n.socket, message, unix.UnixRights(int(f.Fd()))); err != nil {
		return fmt.Errorf("have systemd keep %s: %w", name, err)
	}
	return nil
}

// Forget has systemd close what it keeps under a name.
func (n *Notifier) Forget(name string) error { return n.notify("FDSTOREREMOVE=1\nFDNAME=" + name) }

// Inherited returns the files that systemd kept for this process, by name, and forgets
// that there are any: it is called once, before anything that may start a program.
func Inherited() map[string]*os.File {
	files := make(map[string]*os.File)
	for _, f := range activation.Files(true) {
		if files[f.Name()] != nil {
			f.Close() // systemd has the newest first: nobody spoke on this one any more
			continue
		}
		files[f.Name()] = f
	}
	return files
}

func (n *Notifier) notify(message string) error {
	if n.socket == "" {
		return nil
	}
	if err := sendDatagram(n.socket, []byte(message), nil); err != nil {
		name, _, _ := strings.Cut(message, "=")
		return fmt.Errorf("telling systemd %s: %w", name, err)
	}
	return nil
}

// WatchdogInterval returns how often [Notifier.Watchdog] has to be called: a fifth of
// the unit's WatchdogSec. At the half that sd_watchdog_enabled(3) recommends, one that is short
// might end a process that is late by no more than half of it. It is 0 when the unit has no
// watchdog.
func WatchdogInterval() (time.Duration, error) {
	timeout, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0, fmt.Errorf("reading the watchdog's interval: %w", err)
	}
	return timeout / 5, nil
}
