package systemd

import (
	"context"
	"fmt"

	"github.com/godbus/dbus/v5"
)

const (
	timedateName = "org.freedesktop.timedate1" // also its interface
	timedatePath = "/org/freedesktop/timedate1"
)

// ClockSynchronised asks systemd-timedated, which the bus starts if need be, whether
// something keeps the wall clock right: what adjtimex(2) tells, for a service that may
// not call that.
func (u *Units) ClockSynchronised(ctx context.Context) (bool, error) {
	b, err := dialBus(ctx, u.dial)
	if err != nil {
		return false, err
	}
	defer b.close()
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var v dbus.Variant
	err = b.conn.Object(timedateName, timedatePath).
		CallWithContext(ctx, propertiesInterface+".Get", 0, timedateName, "NTPSynchronized").Store(&v)
	if err != nil {
		return false, fmt.Errorf("asking systemd-timedated about the clock: %w", err)
	}
	yes, ok := v.Value().(bool)
	if !ok {
		return false, fmt.Errorf("systemd-timedated answered %v when asked about the clock", v)
	}
	return yes, nil
}
