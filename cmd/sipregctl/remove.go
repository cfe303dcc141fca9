package main

import (
	"fmt"
	"net/http"
	"net/url"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
)

const removeHelp = `Removes the bindings of an AOR, or just those to a CONTACT, which is the URI that
` + "`sipregctl contacts AOR`" + ` shows. Two phones behind NAT may have one CONTACT: with
a GRUU in place of the AOR it removes those of one phone. The phone does not learn of
it: it comes back when it refreshes. To keep it out, take its peer out of peers.conf
and reload, or ban its address.

The exit status is 0, or 1 if there was nothing to remove.`

const removeExamples = `  sipregctl remove 2001
  sipregctl remove 2001 sip:2001@192.0.2.7:5060
  sipregctl remove 'sip:2001@example.com;gr=urn:uuid:00000000-0000-1000-8000-00aa00000001'`

func newRemoveCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "remove AOR [CONTACT]",
		Short:   "Remove bindings",
		Long:    removeHelp,
		Example: removeExamples,
		Args:    cobra.RangeArgs(1, 2),
	}
	c := newJSONClient(command)
	command.ValidArgsFunction = func(command *cobra.Command, arguments []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if len(arguments) == 1 {
			return c.suggestContacts(command.Context(), arguments[0], typed), cobra.ShellCompDirectiveNoFileComp
		}
		return c.completeFirst(c.suggestAORs)(command, arguments, typed)
	}
	command.RunE = func(command *cobra.Command, arguments []string) error {
		path, err := aorPath(arguments[0])
		if err != nil {
			return err
		}
		query := url.Values{}
		if len(arguments) > 1 {
			if arguments[1] == "" { // it must not come to mean all of them
				return usageError("the CONTACT is empty")
			}
			query.Set("contact", arguments[1])
		}
		var removed api.Removed
		text, err := c.ask(command.Context(), http.MethodDelete, path, query, nil, &removed)
		switch {
		case err != nil:
			return err
		case c.json:
			return printJSON(command.OutOrStdout(), text)
		}
		fmt.Fprintf(command.OutOrStdout(), "%s of %s removed\n", plural(removed.Removed, "binding", "bindings"), visible(arguments[0]))
		return nil
	}
	return command
}
