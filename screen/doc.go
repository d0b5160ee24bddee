// Package screen writes for a person at a terminal what otherwise goes to a pipe.
package screen
