package config

import "slices"

// Difference is what a reload has to do. VIPs are known by name: a VIP of
// another name is another VIP.
type Difference struct {
	Unchanged []VIP    // in the order of the new configuration
	Changed   []Change // likewise
	Added     []VIP    // likewise
	Removed   []VIP    // in the order of the old one

	Checks, Auth, BGP, Metrics, Hooks bool // whether that part differs
}

// Change is a VIP before and after.
type Change struct{ Old, New VIP }

// Diff compares two configurations. It does not see what is in files that they
// name.
func Diff(old, new *Config) Difference {
	d := Difference{
		Checks:  !slices.EqualFunc(old.Checks, new.Checks, Check.Equal),
		Auth:    !old.Auth.Equal(new.Auth),
		BGP:     !old.BGP.Equal(new.BGP),
		Metrics: old.Metrics != new.Metrics,
		Hooks:   !slices.EqualFunc(old.Hooks, new.Hooks, Hook.Equal),
	}
	for _, v := range new.VIPs {
		switch before, ok := named(old.VIPs, v.Name); {
		case !ok:
			d.Added = append(d.Added, v)
		case before.Equal(v):
			d.Unchanged = append(d.Unchanged, v)
		default:
			d.Changed = append(d.Changed, Change{Old: before, New: v})
		}
	}
	for _, v := range old.VIPs {
		if _, ok := named(new.VIPs, v.Name); !ok {
			d.Removed = append(d.Removed, v)
		}
	}
	return d
}

func named(vips []VIP, name string) (VIP, bool) {
	i := slices.IndexFunc(vips, func(v VIP) bool { return v.Name == name })
	if i < 0 {
		return VIP{}, false
	}
	return vips[i], true
}
