package doctor

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// given is something that the unit gives the agent, and that a drop-in may take.
type given struct {
	setting string // in unit files
	// taken says what is left of it; empty: enough.
	taken func(Unit) string
}

// givens are what the agent needs where a machine is busy, and to work at all.
func givens() []given {
	return []given{
		{"CPUSchedulingPolicy", func(u Unit) string {
			if policy := policyName(u.Policy); !isRealTime(policy) {
				return "is " + policy
			}
			return ""
		}},
		{"Nice", func(u Unit) string { return above(u.Given["Nice"], 0) }},
		{"CPUWeight", cpuWeight},
		{"CPUQuota", func(u Unit) string {
			if quota, ok := u.Given["CPUQuotaPerSecUSec"]; ok && !unlimited(quota) {
				return "is " + quota + " per second"
			}
			return ""
		}},
		{"AmbientCapabilities", func(u Unit) string {
			if u.Given["User"] == "" || u.Given["User"] == "root" {
				return "" // root has what is in CapabilityBoundingSet
			}
			return lacking(u, "AmbientCapabilities")
		}},
		{"CapabilityBoundingSet", func(u Unit) string { return lacking(u, "CapabilityBoundingSet") }},
		{"WatchdogSec", watchdog},
		{"OOMScoreAdjust", func(u Unit) string { return above(u.Given["OOMScoreAdjust"], 0) }},
		{"LimitMEMLOCK", func(u Unit) string {
			if limit, ok := u.Given["LimitMEMLOCK"]; ok && !unlimited(limit) {
				return "is " + limit
			}
			return ""
		}},
	}
}

// givenProperties are what systemctl show has of them. CPUSchedulingPolicy is asked for anyway.
func givenProperties() []string {
	return []string{"User", "Nice", "CPUWeight", "CPUQuotaPerSecUSec", "AmbientCapabilities", "CapabilityBoundingSet", "WatchdogUSec", "OOMScoreAdjust", "LimitMEMLOCK"}
}

// unlimited knows how old releases of systemd write infinity, too.
func unlimited(value string) bool {
	return slices.Contains([]string{"", "infinity", "18446744073709551615"}, value)
}

func above(value string, limit int) string {
	if n, err := strconv.Atoi(value); err == nil && n > limit {
		return "is " + value
	}
	return ""
}

// cpuWeight wants the weight that every unit has, 100, or more.
func cpuWeight(u Unit) string {
	const ordinary = 100
	weight := u.Given["CPUWeight"]
	if n, err := strconv.Atoi(weight); weight == "idle" || err == nil && n < ordinary {
		return "is " + weight
	}
	return ""
}

// watchdog is known of a unit that runs alone.
func watchdog(u Unit) string {
	value, ok := u.Given["WatchdogUSec"]
	if ok && u.ActiveState == "active" && (value == "infinity" || value == "0") {
		return "is off"
	}
	return ""
}

// needed are the agent's capabilities, in the words of systemctl.
func needed() []string { return []string{"cap_net_admin", "cap_net_raw", "cap_dac_read_search"} }

func lacking(u Unit, set string) string {
	value, ok := u.Given[set]
	if !ok {
		return ""
	}
	has := strings.Fields(strings.ToLower(value))
	var without []string
	for _, c := range needed() {
		if !slices.Contains(has, c) {
			without = append(without, strings.ToUpper(c))
		}
	}
	if len(without) == 0 {
		return ""
	}
	return "is without " + strings.Join(without, " ")
}

// checkGiven looks for what was taken from the agent, and where.
func (p *patient) checkGiven(u Unit) []Finding {
	var taken, settings []string
	for _, g := range givens() {
		if what := g.taken(u); what != "" {
			taken, settings = append(taken, g.setting+" "+what), append(settings, g.setting)
		}
	}
	if len(taken) == 0 {
		return nil
	}
	where, evidence := strings.Join(p.setBy(u, settings), ", "), strings.Join(taken, ", ")
	const restart = "systemctl daemon-reload && systemctl restart vipd"
	if slices.Equal(settings, []string{"CPUSchedulingPolicy"}) {
		if where != "" {
			evidence += ", by " + where
		}
		return []Finding{found("dropin-lowers-priority", agentUnit, evidence, "remove that drop-in unless this machine refuses real-time scheduling, then: "+restart)}
	}
	remedy := fmt.Sprintf("take %s out of the unit, as systemctl cat vipd shows it, then: %s", strings.Join(settings, ", "), restart)
	if where != "" {
		evidence += ", by " + where
		remedy = fmt.Sprintf("take %s out of %s, then: %s", strings.Join(settings, ", "), where, restart)
	}
	return []Finding{found("dropin-lowers-priority", agentUnit, evidence, remedy)}
}

// setBy are the drop-ins that name one of the settings; if none can be told, all.
func (p *patient) setBy(u Unit, names []string) []string {
	var by []string
	for _, file := range u.DropIns {
		text, err := p.Files.Read(file)
		if err != nil {
			continue
		}
		facts := settings(text)
		if slices.ContainsFunc(names, func(n string) bool { _, ok := facts[n]; return ok }) {
			by = append(by, file)
		}
	}
	if len(by) == 0 {
		return u.DropIns
	}
	return by
}
