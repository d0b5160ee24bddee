package config

import (
	"maps"
	"slices"
	"strings"
)

// readPriorityByHost resolves the priority of the VIP in t for host. Without a table for
// it, a priority that is not the default was chosen for this host.
func readPriorityByHost(t value, vip *VIP, host Host) {
	table, ok := t.entry("priority_by_host")
	if !ok {
		vip.PriorityUnique = vip.Priority != defaultVIP().Priority
		return
	}
	entries, ok := table.data.(map[string]any)
	if !ok {
		table.fail("is %s: write a table, such as { k3s1 = 250, k3s2 = 240 }", table.kind())
		return
	}
	names := slices.Sorted(maps.Keys(entries))
	priorities := make(map[string]uint8)
	for i, name := range names {
		v, _ := table.entry(name)
		if _, ok := v.data.(map[string]any); ok {
			v.fail("a name with dots needs quotes: write \"%s.example.com\" = 250", name)
			continue
		}
		if !madeOf(name, letters+digits+"._-", 253) {
			v.fail("%q is not a host name: write what \"hostname\" prints there", name)
			continue
		}
		for _, other := range names[:i] {
			if sameHost(name, other) {
				v.fail("names the same host as %q: keep one of the two", other)
			}
		}
		var p uint8
		if readPriority(v, &p) {
			priorities[name] = p
		}
	}
	var matches []string
	for _, name := range slices.Sorted(maps.Keys(priorities)) {
		if sameHost(name, host.Name) {
			matches = append(matches, name)
		}
	}
	if len(matches) > 1 {
		table.fail("this host calls itself %q, which may be %q or %q: write the short name", host.Name, matches[0], matches[1])
	}
	if len(matches) != 1 {
		return
	}
	rest := vip.Priority
	vip.Priority = priorities[matches[0]]
	delete(priorities, matches[0])
	vip.PriorityUnique = vip.Priority != rest && !slices.Contains(slices.Collect(maps.Values(priorities)), vip.Priority)
}

// sameHost tells whether two names can be one host's: equal without regard to
// case, or one short and the first label of the other.
func sameHost(a, b string) bool {
	a, b = strings.ToLower(a), strings.ToLower(b)
	if a == b {
		return true
	}
	shortA, _, longA := strings.Cut(a, ".")
	shortB, _, longB := strings.Cut(b, ".")
	return shortA == shortB && longA != longB
}
