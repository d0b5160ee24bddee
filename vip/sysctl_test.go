package vip

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/vipd/vipd/test/lab"
)

// Under the unit, /proc/sys is read-only unless a drop-in says otherwise.
func TestReadOnlySysctlsNameTheDropIn(t *testing.T) {
	lab.Require(t)
	runtime.LockOSThread() // for good: its mounts are its own from now on
	for _, step := range []error{
		unix.Unshare(unix.CLONE_FS | unix.CLONE_NEWNS),
		unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""),
		unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""),
		unix.Mount("", "/proc/sys", "", unix.MS_REMOUNT|unix.MS_BIND|unix.MS_RDONLY, ""),
	} {
		if step != nil {
			t.Fatal(step)
		}
	}
	now, err := readSysctl(sysctlPath("ipv4", "lo", "arp_ignore"))
	if err != nil {
		t.Fatal(err)
	}
	if err := set([]sysctl{{"ipv4", "lo", "arp_ignore", now}}); err != nil {
		t.Errorf("as it is already: %v", err)
	}
	if err := set([]sysctl{{"ipv4", "lo", "arp_ignore", now + 1}}); !errors.Is(err, errReadOnly) {
		t.Errorf("%v, want %v", err, errReadOnly)
	}
}

func TestRefusedSysctlsAreOneError(t *testing.T) {
	err := set([]sysctl{{"ipv4", "nosuch", "arp_ignore", 1}, {"ipv4", "nosuch", "arp_filter", 2}})
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{"nosuch/arp_ignore", "to 1", "nosuch/arp_filter", "to 2"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not name %q", err, want)
		}
	}
}
