package vip

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/vishvananda/netlink"
)

func TestDump(t *testing.T) {
	changed := fmt.Errorf("list: %w", netlink.ErrDumpInterrupted)
	refused := errors.New("refused")
	often := slices.Repeat([]error{changed}, dumpAgain)
	for _, tt := range []struct {
		name    string
		answers []error
		want    error
		reads   int
	}{
		{"at rest", []error{nil}, nil, 1},
		{"changed twice", []error{changed, changed, nil}, nil, 3},
		{"refused", []error{refused, nil}, refused, 1},
		{"changed, then refused", []error{changed, refused, nil}, refused, 2},
		{"changes all the time", append(often, nil), changed, dumpAgain},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				reads := 0
				list, err := Dump(func() ([]int, error) {
					reads++
					return []int{reads}, tt.answers[reads-1]
				})
				if !errors.Is(err, tt.want) || reads != tt.reads {
					t.Errorf("%v after %d reads, want %v after %d", err, reads, tt.want, tt.reads)
				}
				if err == nil && !slices.Equal(list, []int{reads}) {
					t.Errorf("got %v, not what was read last", list)
				}
			})
		})
	}
}
