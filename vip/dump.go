package vip

import (
	"errors"
	"time"

	"github.com/vishvananda/netlink"
)

// dumpAgain bounds how often a table that changes all the time is read. The pauses grow by
// dumpPause: 255 leases are renewed within some 10 ms.
const (
	dumpAgain = 20
	dumpPause = time.Millisecond
)

// Dump reads a whole table of the kernel's: it reads again when the table has changed
// meanwhile (NLM_F_DUMP_INTR of netlink(7)), as those of addresses do while leases are
// renewed, and those of interfaces where pods come and go. One that changes each time is
// an error.
func Dump[T any](read func() ([]T, error)) ([]T, error) {
	for n := 1; ; n++ {
		list, err := read()
		if n == dumpAgain || !errors.Is(err, netlink.ErrDumpInterrupted) {
			return list, err
		}
		time.Sleep(time.Duration(n) * dumpPause)
	}
}
