package main

import "fmt"

// arch is what an architecture is called by whom, and what Go is told about it.
type arch struct {
	name string // Debian's
	nfpm string
	rpm  string
	env  []string
}

// archNamed returns the architecture that Debian calls so. The oldest processors of
// each will do.
func archNamed(name string) (arch, error) {
	switch name {
	case "amd64":
		return arch{name, "amd64", "x86_64", []string{"GOARCH=amd64", "GOAMD64=v1"}}, nil
	case "arm64":
		return arch{name, "arm64", "aarch64", []string{"GOARCH=arm64", "GOARM64=v8.0"}}, nil
	case "armhf":
		return arch{name, "arm7", "armv7hl", []string{"GOARCH=arm", "GOARM=7"}}, nil
	}
	return arch{}, fmt.Errorf("no architecture %q", name)
}
