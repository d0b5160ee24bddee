package systemd

import (
	"os"
	"strings"
)

// Own returns the name of the service that the process runs in, as its cgroup
// tells it, or "" if it does not run in one.
func Own() string {
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return ""
	}
	return serviceOf(string(text))
}

// serviceOf finds the service in the text of a cgroup file: lines of
// hierarchy:controllers:path (cgroups(7)). The innermost one counts: a user's
// services lie below user@1000.service.
func serviceOf(text string) string {
	for line := range strings.Lines(text) {
		fields := strings.SplitN(strings.TrimSuffix(line, "\n"), ":", 3)
		if len(fields) != 3 || fields[1] != "" && fields[1] != "name=systemd" {
			continue
		}
		path := strings.Split(fields[2], "/")
		for i := len(path) - 1; i >= 0; i-- {
			if strings.HasSuffix(path[i], ".service") {
				return path[i]
			}
		}
	}
	return ""
}
