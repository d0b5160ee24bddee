package vip

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// sysctl is one setting of an interface, in the network namespace of the thread.
type sysctl struct {
	proto, ifname, key string // ipv4 or ipv6; "all" and "default" are names too
	value              int
}

var errReadOnly = errors.New("sysctls are read-only here: virtual_mac needs the unit's drop-in virtual-mac.conf (/usr/share/vipd)")

const sysctlRoot = "/proc/sys/net"

func sysctlPath(proto, ifname, key string) string {
	return filepath.Join(sysctlRoot, proto, "conf", ifname, key)
}

// set writes all the values, for one that is only inherited changes with
// "default". A write that is refused is an error if the value is another one; all
// such errors are returned as one.
func set(settings []sysctl) error {
	var errs []error
	for _, s := range settings {
		path := sysctlPath(s.proto, s.ifname, s.key)
		err := os.WriteFile(path, []byte(strconv.Itoa(s.value)), 0)
		if err == nil {
			continue
		}
		if now, failed := readSysctl(path); failed == nil && now == s.value {
			continue
		}
		if errors.Is(err, unix.EROFS) {
			return errReadOnly
		}
		errs = append(errs, fmt.Errorf("set sysctl to %d: %w", s.value, err))
	}
	return errors.Join(errs...)
}

// relaxed takes the strictness of reverse path filtering from "all", where it
// would hold for every interface, and gives it to each of the others but one.
// The kernel uses the larger of the two values.
func relaxed(except string) ([]sysctl, error) {
	all, err := readSysctl(sysctlPath("ipv4", "all", "rp_filter"))
	if err != nil || all == 0 {
		return nil, err
	}
	dirs, err := os.ReadDir(filepath.Join(sysctlRoot, "ipv4", "conf"))
	if err != nil {
		return nil, fmt.Errorf("list interfaces' sysctls: %w", err)
	}
	var out []sysctl
	for _, d := range dirs {
		if d.Name() == "all" || d.Name() == except {
			continue
		}
		own, err := readSysctl(sysctlPath("ipv4", d.Name(), "rp_filter"))
		if errors.Is(err, os.ErrNotExist) {
			continue // the interface went meanwhile
		}
		if err != nil {
			return nil, err
		}
		out = append(out, sysctl{"ipv4", d.Name(), "rp_filter", max(own, all)})
	}
	return append(out, sysctl{"ipv4", "all", "rp_filter", 0}), nil
}

func readSysctl(path string) (int, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, fmt.Errorf("read sysctl: %w", err)
	}
	return strconv.Atoi(string(bytes.TrimSpace(b)))
}
