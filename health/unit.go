package health

import (
	"context"
	"fmt"
	"sync/atomic"
)

// unitProbe answers from what systemd said last of a unit.
type unitProbe struct {
	name string
	word atomic.Pointer[unitWord]
}

type unitWord struct {
	unit Unit
	err  error
}

func newUnitProbe(name string) *unitProbe {
	p := &unitProbe{name: name}
	p.failed(fmt.Errorf("systemd has not told yet of %s", name))
	return p
}

func (p *unitProbe) told(u Unit)      { p.word.Store(&unitWord{unit: u}) }
func (p *unitProbe) failed(err error) { p.word.Store(&unitWord{err: err}) }

func (p *unitProbe) ask(context.Context) error {
	w := p.word.Load()
	switch w.unit.ActiveState {
	case "active", "reloading", "refreshing":
		if w.unit.Dead {
			return fmt.Errorf("%s: %s", p.name, ending(w.unit))
		}
		return nil
	case "":
		if w.err != nil {
			return w.err
		}
		return fmt.Errorf("systemd does not know %s", p.name)
	}
	return fmt.Errorf("%s is %s", p.name, w.unit.ActiveState)
}
