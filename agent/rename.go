package agent

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vipd/vipd/vrrp"
)

// find returns the segment's interface. One that was found by a subnet is the same under
// whatever name it has now; one that is named in vipd.toml is the one of that name.
func (s *segment) find() (*net.Interface, error) {
	if !s.found || s.port == nil {
		return s.byName()
	}
	ifi, err := net.InterfaceByIndex(s.port.ifi.Index)
	if unseen(err) {
		return nil, fmt.Errorf("%w %s: %w", errUnseen, s.name(), err)
	}
	if err != nil {
		return s.byName()
	}
	if ifi.Name != s.name() {
		s.rename(ifi.Name)
	}
	return ifi, nil
}

func (s *segment) byName() (*net.Interface, error) {
	name := s.name()
	ifi, err := net.InterfaceByName(name)
	switch {
	case unseen(err):
		return nil, fmt.Errorf("%w %s: %w", errUnseen, name, err)
	case err == nil:
		return ifi, nil
	}
	if s.port != nil {
		if now, err := net.InterfaceByIndex(s.port.ifi.Index); err == nil {
			return nil, fmt.Errorf("waiting for interface %s, which is called %s now: rename it back (ip link set %s name %s), or change vipd.toml",
				name, now.Name, now.Name, name)
		}
	}
	return nil, fmt.Errorf("%w %s, which does not exist: check the name (ip link)", errNoInterface, name)
}

// errNoInterface says that there is no interface of a segment's name.
var errNoInterface = errors.New("waiting for interface")

// unseen reports whether a look for an interface failed, rather than find none.
func unseen(err error) bool {
	var failed *os.SyscallError
	return errors.As(err, &failed)
}

// rename follows an interface to its new name: the sockets and the addresses stay.
func (s *segment) rename(name string) {
	was := s.name()
	ifi := *s.port.ifi
	ifi.Name = name
	s.port.ifi = &ifi
	if s.family == vrrp.IPv6 {
		if err := s.port.say.Renamed(name); err != nil {
			s.record.failed("follow the interface to its new name", err)
		}
	}
	s.mu.Lock()
	s.called = name
	s.mu.Unlock()
	for _, m := range s.members {
		if m.holder != nil {
			m.router.renamed(name)
		}
	}
	s.record.renamed(was, name)
}

func (s *segment) name() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.called
}

// lost reports whether the interface that was found is gone, so that the routers are
// better looked for anew: their subnet may be on another one.
func (s *segment) lost() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.found && s.gone
}

// renamed tells the router of its interface's new name.
func (r *router) renamed(name string) {
	r.wait(func() {
		l := *r.link
		l.iface = name
		r.link = &l
		r.publish(r.clock.now(), false)
	})
}

// unplace takes a router from an interface that is gone, to be placed anew. The caller
// holds a.mu.
func (a *Agent) unplace(p *placed) {
	if p.segment == nil || !p.segment.lost() {
		return
	}
	p.segment.remove(a.ctx, p.router)
	p.segment = nil
}
