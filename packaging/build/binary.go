package main

import (
	"debug/buildinfo"
	"fmt"
	"runtime"
	"runtime/debug"
)

// neutral is what a builder's own settings must not change.
func neutral() []string {
	return []string{"CGO_ENABLED=0", "GOOS=linux", "GOARCH=" + runtime.GOARCH, "GOFLAGS=", "GOEXPERIMENT=", "GOWORK=off", "LC_ALL=C"}
}

// buildArgs are those of a static binary that holds no path of this machine and
// nothing about the state of the checkout but the version. It has no symbols for a
// debugger; traces of a panic do not need them.
func buildArgs(verb, version string, rest ...string) []string {
	args := []string{verb, "-trimpath", "-buildvcs=false", "-ldflags=-s -w -X main.version=" + version}
	return append(args, rest...)
}

// buildBinary compiles the agent, and returns what it is made of.
func buildBinary(path, version string, a arch) (*debug.BuildInfo, error) {
	args := buildArgs("build", version, "-o", path, "./cmd/vipd")
	if _, err := outputWith(append(neutral(), a.env...), "go", args...); err != nil {
		return nil, err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("what the binary is made of: %w", err)
	}
	return info, nil
}
