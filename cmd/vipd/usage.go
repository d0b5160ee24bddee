package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// usageError is an error of the command line, not of what it asked for.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// maxFlags is how many flags a usage of one line has room for.
const maxFlags = 4

// usageOf is how the command is written, in a line.
func usageOf(cmd *cobra.Command) string {
	line := cmd.CommandPath()
	if _, args, ok := strings.Cut(cmd.Use, " "); ok {
		line += " " + args
	}
	switch {
	case !cmd.HasParent():
		return line + " command [option ...]"
	case cmd.HasAvailableSubCommands():
		return line + " " + strings.Join(subcommands(cmd), " | ")
	}
	return line + flagsOf(cmd)
}

func subcommands(cmd *cobra.Command) []string {
	var names []string
	for _, sub := range cmd.Commands() {
		names = append(names, sub.Name())
	}
	return names
}

func flagsOf(cmd *cobra.Command) string {
	var all []string
	cmd.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
		if f.Name == "help" || f.Hidden {
			return
		}
		value, _ := pflag.UnquoteUsage(f)
		all = append(all, " ["+strings.TrimSpace("--"+f.Name+" "+value)+"]")
	})
	if len(all) > maxFlags {
		return " [option ...]"
	}
	return strings.Join(all, "")
}

func unknownCommand(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("there is no command %q", args[0])}
	}
	return nil
}

// noArgs refuses arguments.
func noArgs(_ *cobra.Command, args []string) error {
	if len(args) > 0 {
		return usageError{fmt.Errorf("unexpected argument %q", args[0])}
	}
	return nil
}

// addHelp adds cobra's own command, and has it refuse what is no command.
func addHelp(root *cobra.Command) {
	root.InitDefaultHelpCmd()
	for _, cmd := range root.Commands() {
		if cmd.Name() != "help" {
			continue
		}
		cmd.Args = func(cmd *cobra.Command, args []string) error {
			_, rest, err := cmd.Root().Find(args)
			if err != nil {
				return usageError{err}
			}
			return unknownCommand(cmd, rest)
		}
	}
}
