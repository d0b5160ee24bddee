package systemd

import (
	"context"
	"errors"
	"fmt"

	"github.com/godbus/dbus/v5"
)

// session is one connection's view of one unit: its properties, read once and
// then kept up to date by signals.
type session struct {
	*bus
	signals chan *dbus.Signal
	owner   string // systemd's unique name: anybody may send signals that look like its
	path    dbus.ObjectPath
	props   properties
	asOf    dbus.Sequence // when props were read: what was sent before is in them
}

var errLeft = errors.New("systemd left the bus")

// openSession connects, subscribes and reads. The error is errUnitName if there
// is no use in trying again.
func openSession(ctx context.Context, dial dialFunc, unit string) (*session, error) {
	b, err := dialBus(ctx, dial)
	if err != nil {
		return nil, err
	}
	s := &session{bus: b, signals: make(chan *dbus.Signal, 16)}
	b.conn.Signal(s.signals)
	if err := s.open(ctx, unit); err != nil {
		b.close()
		return nil, err
	}
	return s, nil
}

func (s *session) open(ctx context.Context, unit string) error {
	// Before the owner is asked for, or its change could be missed.
	err := s.match(ctx, dbus.WithMatchSender(busName), dbus.WithMatchInterface(busName),
		dbus.WithMatchMember("NameOwnerChanged"), dbus.WithMatchArg(0, systemdName))
	if err != nil {
		return err
	}
	if err := s.call(ctx, s.conn.BusObject(), busName+".GetNameOwner", systemdName).Store(&s.owner); err != nil {
		return fmt.Errorf("looking for systemd on the bus: %w", err)
	}
	if err := s.call(ctx, s.manager(), managerInterface+".Subscribe").Err; err != nil {
		return fmt.Errorf("subscribing to systemd's signals: %w", err)
	}
	if s.path, err = s.loadUnit(ctx, unit); err != nil {
		return err
	}
	// The name given may be an alias; signals carry the unit's own.
	id, err := s.get(ctx, s.path, unitInterface, "Id")
	if err != nil {
		return err
	}
	name, _ := id.Value().(string)
	for _, rule := range [][]dbus.MatchOption{
		{dbus.WithMatchObjectPath(s.path), dbus.WithMatchInterface(propertiesInterface), dbus.WithMatchMember("PropertiesChanged")},
		{dbus.WithMatchInterface(managerInterface), dbus.WithMatchMember("JobNew"), dbus.WithMatchArg(2, name)},
		{dbus.WithMatchInterface(managerInterface), dbus.WithMatchMember("Reloading")},
	} {
		if err := s.match(ctx, append(rule, dbus.WithMatchSender(systemdName))...); err != nil {
			return err
		}
	}
	return s.read(ctx)
}

// read reads all properties anew.
func (s *session) read(ctx context.Context) error {
	// The empty interface stands for all: unlike those of a service by name, a
	// target has these too.
	call := s.call(ctx, s.conn.Object(systemdName, s.path), propertiesInterface+".GetAll", "")
	var all map[string]dbus.Variant
	if err := call.Store(&all); err != nil {
		return fmt.Errorf("reading the unit's properties: %w", err)
	}
	s.props = properties{}
	s.props.merge(all)
	s.asOf = call.ResponseSequence
	return nil
}

// next waits until the properties have changed.
func (s *session) next(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case sig, ok := <-s.signals:
			if !ok {
				return errors.New("the connection to D-Bus was lost")
			}
			if changed, err := s.handle(ctx, sig); changed || err != nil {
				return err
			}
		}
	}
}

func (s *session) handle(ctx context.Context, sig *dbus.Signal) (changed bool, err error) {
	if sig.Sender == busName && sig.Name == busName+".NameOwnerChanged" {
		return false, errLeft
	}
	if sig.Sender != s.owner || sig.Sequence < s.asOf {
		return false, nil
	}
	switch sig.Name {
	case propertiesInterface + ".PropertiesChanged":
		return s.update(sig)
	case managerInterface + ".JobNew":
		// The first signal of a unit that systemd had not loaded is not
		// PropertiesChanged but UnitNew, which reading a unit brings about too.
		// That it is about to start tells only its job.
		return true, s.read(ctx)
	case managerInterface + ".Reloading":
		// LoadState changes without a signal of its own.
		if len(sig.Body) == 1 && sig.Body[0] == false {
			return true, s.read(ctx)
		}
	}
	return false, nil
}

func (s *session) update(sig *dbus.Signal) (changed bool, err error) {
	var (
		iface       string
		values      map[string]dbus.Variant
		invalidated []string
	)
	if sig.Path != s.path {
		return false, nil
	}
	if err := dbus.Store(sig.Body, &iface, &values, &invalidated); err != nil {
		return false, fmt.Errorf("reading a change of the unit's properties: %w", err)
	}
	s.props.merge(values)
	// systemd sends the properties of the unit's type first, then those of all
	// units (bus_unit_send_change_signal): only together do they agree.
	return iface == unitInterface, nil
}
