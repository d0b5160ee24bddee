package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// output runs a command and returns what it says, without the newline at the end.
func output(name string, args ...string) (string, error) {
	return outputWith(nil, name, args...)
}

// outputWith has the variables in the environment too.
func outputWith(env []string, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		said := append(out, stderr.Bytes()...)
		return "", fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, bytes.TrimSpace(said))
	}
	return strings.TrimSuffix(string(out), "\n"), nil
}
