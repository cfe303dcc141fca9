package main

import "github.com/spf13/cobra"

const checkHelp = `Has the daemon test peers.conf, and prints what a reload would change, a line for
each label: added, removed, changed. Nothing is changed by it.

If the file has an error, the errors are printed with file and line, and the exit
status is 1. Where no daemon runs, sipregd --check tests the files; it tests
sipregd.conf, too.`

func newCheckCommand() *cobra.Command {
	return newReadingCommand("/check", &cobra.Command{
		Use:     "check",
		Short:   "What a reload would change",
		Long:    checkHelp,
		Example: "  sipregctl check && sipregctl reload",
		Args:    cobra.NoArgs,
	}, "a reload would do: ", "a reload would fail")
}
