// Package k3s reads how K3s is set up on a host: the files of its configuration, and the
// command line of its unit. It asks nobody and changes nothing.
package k3s
