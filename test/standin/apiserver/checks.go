package apiserver

import (
	"fmt"
	"slices"
	"strings"
)

// Names of checks that have a part of their own here.
const (
	etcdCheck      = "etcd"
	readinessCheck = "etcd-readiness"
)

// checks returns what an endpoint (readyz, livez or healthz) looks at, in
// kube-apiserver's order. Newer releases ask etcd twice on readyz.
func checks(endpoint string, kind Kind) []string {
	list := []string{"ping", "log", etcdCheck}
	if endpoint == "readyz" && kind == EtcdLostFast {
		list = append(list, readinessCheck)
	}
	if endpoint == "readyz" {
		list = append(list, "informer-sync")
	}
	list = append(list, hooks()...)
	if endpoint == "readyz" {
		list = append(list, "shutdown")
	}
	return list
}

// hooks returns the checks that fail one after the other no more while a server
// starts.
func hooks() []string {
	return []string{
		"poststarthook/start-kube-apiserver-admission-initializer",
		"poststarthook/generic-apiserver-start-informers",
		"poststarthook/start-apiextensions-informers",
		"poststarthook/start-apiextensions-controllers",
		"poststarthook/crd-informer-synced",
		"poststarthook/bootstrap-controller",
		"poststarthook/rbac/bootstrap-roles",
		"poststarthook/scheduling/bootstrap-system-priority-classes",
		"poststarthook/start-cluster-authentication-info-controller",
		"poststarthook/start-kube-aggregator-informers",
		"poststarthook/apiservice-registration-controller",
		"poststarthook/apiservice-status-available-controller",
		"poststarthook/kube-apiserver-autoregistration",
		"autoregister-completion",
		"poststarthook/apiservice-openapi-controller",
	}
}

// failures returns which checks fail in a mode; booted says which part of the
// start-up is done.
func failures(kind Kind, booted float64) func(check string) bool {
	switch kind {
	case Unready:
		return func(check string) bool { return check != "ping" }
	case EtcdLost, EtcdLostFast:
		return func(check string) bool { return check == etcdCheck || check == readinessCheck }
	case Booting:
		all := hooks()
		// The last one fails until the mode ends.
		done := min(int(booted*float64(len(all))), len(all)-1)
		return func(check string) bool { return slices.Contains(all[done:], check) }
	}
	return func(string) bool { return false }
}

// report is the outcome of the checks.
type report struct {
	lines strings.Builder
	bad   int
}

// inspect asks the checks that are not excluded, as kube-apiserver's healthz does.
func inspect(checks []string, fails func(string) bool, exclude []string) *report {
	rep := &report{}
	for _, c := range checks {
		switch {
		case slices.Contains(exclude, c):
			fmt.Fprintf(&rep.lines, "[+]%s excluded: ok\n", c)
		case fails(c):
			rep.bad++
			fmt.Fprintf(&rep.lines, "[-]%s failed: reason withheld\n", c)
		default:
			fmt.Fprintf(&rep.lines, "[+]%s ok\n", c)
		}
	}
	if unknown := quoted(exclude, checks); unknown != "" {
		fmt.Fprintf(&rep.lines, "warn: some health checks cannot be excluded: no matches for %s\n", unknown)
	}
	return rep
}

func (r *report) failed() bool { return r.bad > 0 }

// body returns the long answer, without the newline at its end.
func (r *report) body(endpoint string) string {
	if r.failed() {
		return r.lines.String() + endpoint + " check failed"
	}
	return r.lines.String() + endpoint + " check passed"
}

// quoted lists those excluded that no check is named by, sorted.
func quoted(exclude, checks []string) string {
	var out []string
	for _, e := range exclude {
		if !slices.Contains(checks, e) {
			out = append(out, fmt.Sprintf("%q", e))
		}
	}
	slices.Sort(out)
	return strings.Join(slices.Compact(out), ",")
}
