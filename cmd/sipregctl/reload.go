package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
)

const reloadHelp = `Has the daemon read peers.conf anew, and prints what that changes, a line for each
label: added, removed, changed. The bindings of peers that are gone, disabled, have
another secret or certificate, or lost the address, are removed.

If the file has an error, the errors are printed with file and line, nothing
changes, and the exit status is 1.`

func newReloadCommand() *cobra.Command {
	return newReadingCommand("/reload", &cobra.Command{
		Use:     "reload",
		Short:   "Take in the changes of peers.conf",
		Long:    reloadHelp,
		Example: "  sipregctl reload",
		Args:    cobra.NoArgs,
	}, "peers reloaded: ", "not reloaded: everything stays as it was")
}

// newReadingCommand makes command one that has the daemon read the peers. It says
// well in front of what has changed, and badly behind the errors.
func newReadingCommand(path string, command *cobra.Command, well, badly string) *cobra.Command {
	c := newJSONClient(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		result, text, err := haveRead(command.Context(), c, path)
		if err != nil {
			return err
		}
		out, errs := command.OutOrStdout(), command.ErrOrStderr()
		switch {
		case c.json:
			err = printJSON(out, text)
		case result.OK:
			printDifference(out, result, well)
		}
		if !c.json {
			printFaults(errs, "warning: ", result.Warnings)
		}
		if err != nil || result.OK {
			return err
		}
		if !c.json {
			printFaults(errs, "", result.Errors)
			fmt.Fprintln(errs, "sipregctl:", badly)
		}
		return errSaid
	}
	return command
}

// haveRead returns what the daemon has found. Errors in the files are part of it.
func haveRead(ctx context.Context, c *client, path string) (result api.Reload, text []byte, err error) {
	text, err = c.ask(ctx, http.MethodPost, path, nil, nil, &result)
	var refused *refusedError
	if errors.As(err, &refused) && refused.status == http.StatusUnprocessableEntity &&
		json.Unmarshal(refused.text, &result) == nil && len(result.Errors) > 0 {
		result.OK = false
		return result, refused.text, nil
	}
	return result, text, err
}

func printDifference(out io.Writer, r api.Reload, well string) {
	for _, part := range []struct {
		name   string
		labels []string
	}{{"added", r.Added}, {"removed", r.Removed}, {"changed", r.Changed}} {
		for _, label := range part.labels {
			fmt.Fprintf(out, "%-7s  %s\n", part.name, visible(label))
		}
	}
	if r.Certificate != nil {
		fmt.Fprintln(out, "changed  the certificate of TLS: another one, until "+r.Certificate.Local().Format(time.DateTime))
	}
	if r.ClientCA {
		fmt.Fprintln(out, "changed  client_ca: others sign the certificates of phones")
	}
	fmt.Fprintf(out, "%s%s, %d added, %d removed, %d changed\n", well,
		plural(r.Peers, "peer", "peers"), len(r.Added), len(r.Removed), len(r.Changed))
}

func printFaults(errs io.Writer, before string, faults []string) {
	for _, fault := range faults {
		fmt.Fprintln(errs, before+visible(fault))
	}
}
