package systemd

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/godbus/dbus/v5"
)

// Names on the bus.
const (
	busName             = "org.freedesktop.DBus"
	propertiesInterface = "org.freedesktop.DBus.Properties"

	systemdName      = "org.freedesktop.systemd1"
	systemdPath      = "/org/freedesktop/systemd1"
	managerInterface = systemdName + ".Manager"
	unitInterface    = systemdName + ".Unit"
	serviceInterface = systemdName + ".Service"
	jobInterface     = systemdName + ".Job"
)

// callTimeout bounds each call, and the connecting: systemd is silent for
// seconds while it reloads, and for ever if it crashed.
const callTimeout = 5 * time.Second

// errUnitName says that no unit can have such a name.
var errUnitName = errors.New("not the name of a unit: it must end in .service or another type, like k3s.service")

// dialFunc connects to a bus, ready for use.
type dialFunc func(...dbus.ConnOption) (*dbus.Conn, error)

// bus is a connection on which systemd can be asked.
type bus struct {
	conn   *dbus.Conn
	cancel context.CancelFunc
}

func dialBus(ctx context.Context, dial dialFunc) (*bus, error) {
	ctx, cancel := context.WithCancel(ctx)
	timeout := time.AfterFunc(callTimeout, cancel)
	defer timeout.Stop()
	// The default handler may swap signals.
	conn, err := dial(dbus.WithContext(ctx), dbus.WithSignalHandler(dbus.NewSequentialSignalHandler()))
	if err != nil {
		cancel()
		return nil, fmt.Errorf("connecting to D-Bus: %w", err)
	}
	return &bus{conn: conn, cancel: cancel}, nil
}

func (b *bus) close() {
	b.conn.Close()
	b.cancel()
}

func (b *bus) manager() dbus.BusObject { return b.conn.Object(systemdName, systemdPath) }

func (b *bus) call(ctx context.Context, o dbus.BusObject, method string, args ...any) *dbus.Call {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	return o.CallWithContext(ctx, method, dbus.FlagNoAutoStart, args...)
}

func (b *bus) match(ctx context.Context, rule ...dbus.MatchOption) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	if err := b.conn.AddMatchSignalContext(ctx, rule...); err != nil {
		return fmt.Errorf("asking D-Bus for signals: %w", err)
	}
	return nil
}

func (b *bus) get(ctx context.Context, path dbus.ObjectPath, iface, property string) (dbus.Variant, error) {
	var v dbus.Variant
	err := b.call(ctx, b.conn.Object(systemdName, path), propertiesInterface+".Get", iface, property).Store(&v)
	if err != nil {
		return dbus.Variant{}, fmt.Errorf("reading %s of %s: %w", property, path, err)
	}
	return v, nil
}

// loadUnit returns the object of a unit, which systemd loads if need be.
func (b *bus) loadUnit(ctx context.Context, unit string) (dbus.ObjectPath, error) {
	var path dbus.ObjectPath
	err := b.call(ctx, b.manager(), managerInterface+".LoadUnit", unit).Store(&path)
	if isRefusal(err, "org.freedesktop.DBus.Error.InvalidArgs") {
		return "", errUnitName
	}
	if err != nil {
		return "", fmt.Errorf("loading %s: %w", unit, err)
	}
	return path, nil
}

// jobType returns the type of a job, which changes: that of a restart is start
// once the unit has stopped. It is "" if there is no job, or no longer.
func (b *bus) jobType(ctx context.Context, job dbus.ObjectPath) (string, error) {
	if job == "" || job == "/" {
		return "", nil
	}
	v, err := b.get(ctx, job, jobInterface, "JobType")
	if isRefusal(err, "org.freedesktop.DBus.Error.UnknownObject") {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	name, _ := v.Value().(string)
	return name, nil
}

// isRefusal tells whether err is an answer of that name.
func isRefusal(err error, name string) bool {
	var refusal dbus.Error
	return errors.As(err, &refusal) && refusal.Name == name
}
