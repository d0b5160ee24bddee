package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// addCompletion adds cobra's own command, and has it refuse arguments as the
// others do.
func addCompletion(root *cobra.Command) {
	root.InitDefaultCompletionCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "completion" {
			continue
		}
		cmd.Args = unknownShell
		cmd.RunE = func(*cobra.Command, []string) error { return nil } // unknownShell has refused it
		for _, shell := range cmd.Commands() {
			shell.Args = noArgs
		}
	}
}

func unknownShell(_ *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{errors.New("for which shell?")}
	}
	return usageError{fmt.Errorf("there is no completion for %q", args[0])}
}
