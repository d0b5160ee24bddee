package config

import (
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Hook is a command that is run when something happens.
type Hook struct {
	On      []Happening   // at least one, each once
	Command []string      // program (absolute) and arguments
	Timeout time.Duration // after which it is killed, 100 ms to 10 min
}

// Happening is what a [Hook] can be run on.
type Happening string

// The happenings: states of a virtual router, grades of the local API server, and
// another station that has an address.
const (
	OnActive     Happening = "active"
	OnBackup     Happening = "backup"
	OnInitialize Happening = "initialize"
	OnReady      Happening = "ready"
	OnDegraded   Happening = "degraded"
	OnDown       Happening = "down"
	OnConflict   Happening = "conflict"
)

var happenings = []Happening{OnActive, OnBackup, OnInitialize, OnReady, OnDegraded, OnDown, OnConflict}

const minHookTime, maxHookTime = 100 * time.Millisecond, 10 * time.Minute

// Equal tells whether h and o are configured alike.
func (h Hook) Equal(o Hook) bool { return reflect.DeepEqual(h, o) }

// String names the hook by its command.
func (h Hook) String() string { return strings.Join(h.Command, " ") }

// hookKeys are the keys of [[hook]].
var hookKeys = schema[Hook]{
	{"on", readOn},
	{"command", func(v value, h *Hook) { readCommand(v, &h.Command, "/usr/local/bin/vip-moved", "--quiet") }},
	{"timeout", func(v value, h *Hook) { v.duration(&h.Timeout, minHookTime, maxHookTime) }},
}

// readHooks returns the hooks of the file.
func readHooks(root value) []Hook {
	var hooks []Hook
	for _, t := range root.tables("hook") {
		h := defaultHook()
		hookKeys.read(t, &h)
		if !t.has("on") {
			t.failKey("on", "missing: list what to run it on, such as [\"active\"]")
		}
		if !t.has("command") {
			t.failKey("command", "missing: list the program and its arguments")
		}
		hooks = append(hooks, h)
	}
	return hooks
}

func readOn(v value, h *Hook) {
	list := v.strings(string(OnActive))
	if elements, ok := v.elements(); ok && len(elements) == 0 {
		v.fail("is empty: list what to run it on, such as [\"active\"]")
	}
	for _, e := range list {
		on := Happening(e.data.(string))
		switch {
		case !slices.Contains(happenings, on):
			e.fail("%q is not known: choose %s", on, quotedHappenings())
		case slices.Contains(h.On, on):
			e.fail("%q is listed twice: remove one", on)
		default:
			h.On = append(h.On, on)
		}
	}
}

func quotedHappenings() string {
	quoted := make([]string, len(happenings))
	for i, h := range happenings {
		quoted[i] = strconv.Quote(string(h))
	}
	last := len(quoted) - 1
	return strings.Join(quoted[:last], ", ") + " or " + quoted[last]
}
