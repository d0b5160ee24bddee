// Package e2e installs the package on booted machines as the README says and as
// the quick start does, breaks things, and writes down what a client outside saw of it: bin/e2e/report.md.
package e2e
