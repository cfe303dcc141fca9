// Command sipregctl is the administrator's command line of sipregd.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
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
	fmt.Fprintln(errs, "sipregctl:", visible(err.Error()))
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

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "sipregctl",
		Short:         "See and change what a SIP registrar does",
		SilenceErrors: true, // run prints them
		SilenceUsage:  true,
	}
	root.AddCommand(newRegisterCommand())
	return root
}
