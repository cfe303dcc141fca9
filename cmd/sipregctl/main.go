// Command sipregctl is the administrator's command line of sipregd.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/spf13/cobra"
)

func main() { os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr)) }

// run is main with its surroundings as arguments. It returns the exit status:
// 0, 1 where the command did not succeed, 2 for a wrong command line.
func run(arguments []string, in io.Reader, out, errs io.Writer) int {
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer cancel()
	root, begun := newRootCommand(), false
	root.PersistentPreRun = func(*cobra.Command, []string) { begun = true }
	root.SetArgs(arguments)
	root.SetIn(in)
	root.SetOut(out)
	root.SetErr(errs)
	err := root.ExecuteContext(ctx)
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errSaid):
		return 1
	}
	fmt.Fprintln(errs, "sipregctl:", strings.Join(visibleLines(err.Error()), "\n"))
	if !begun || errors.As(err, new(usageError)) {
		return 2
	}
	return 1
}

// errSaid ends a command that did not succeed and has told so.
var errSaid = errors.New("said already")

// usageError is about the command line: it asks for what makes no sense.
type usageError string

func (e usageError) Error() string { return string(e) }

const rootHelp = `Shows who is registered at the daemon sipregd of this machine, why a phone is not,
and lets you act on it.

A phone has three names, and they have nothing to do with each other:

  AOR        what it registers: its User ID, extension or account
  authname   what it proves with its password: its Auth ID or login
  label      what you call it: the section of peers.conf

All commands but register reach the daemon by its control socket. Who may use that,
its file mode says: root, and the group of the daemon's account, sipregd. What
phones have sent they print so that it does no harm to a terminal, and with --json
they print what the daemon answers, as JSON.

The exit status is 0, 1 if a command did not succeed, and 2 for a wrong command
line.`

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "sipregctl",
		Short:         "See and change what a SIP registrar does",
		Long:          rootHelp,
		Example:       "  sipregctl contacts\n  sipregctl why 2001\n  sipregctl help why",
		Version:       buildVersion(),
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
	}
	putFlagsFirst(root)
	root.SetFlagErrorFunc(wrongFlag)
	root.CompletionOptions.SetDefaultShellCompDirective(cobra.ShellCompDirectiveNoFileComp) // few arguments are files
	root.AddCommand(
		newContactsCommand(), newPeersCommand(), newStatsCommand(), newWhyCommand(), newWatchCommand(),
		newRemoveCommand(), newBanCommand(), newReloadCommand(), newCheckCommand(), newDigestCommand(),
		newRegisterCommand(), newManCommand(),
	)
	return root
}

// wrongFlag returns what is wrong with the flags of a command. One that does not
// exist has none: that is told first.
func wrongFlag(command *cobra.Command, err error) error {
	if names := command.Flags().Args(); command.HasSubCommands() && len(names) > 0 {
		return fmt.Errorf("unknown command %q for %q", names[0], command.CommandPath())
	}
	return err
}

// buildVersion is the module's version, or the commit that it was built from.
func buildVersion() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "(unknown)"
	}
	return info.Main.Version + " " + info.GoVersion
}
