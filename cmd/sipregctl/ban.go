package main

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
)

const banHelp = `A ban keeps a network out: what comes from it is dropped without an answer, and what
its phones have registered stays until it expires. Bans end with the daemon. It sets
some by itself, of sources that try many authnames ([security] ban in sipregd.conf).

A NETWORK is an address, such as 192.0.2.7, or address/bits, such as 192.0.2.0/24.`

func newBanCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "ban",
		Short:   "Keep networks out",
		Long:    banHelp,
		Example: "  sipregctl ban add 192.0.2.7 --for 1h\n  sipregctl ban list\n  sipregctl ban remove 192.0.2.7",
		Args:    cobra.NoArgs,
		RunE:    func(command *cobra.Command, _ []string) error { return command.Help() },
	}
	command.AddCommand(newBanListCommand(), newBanAddCommand(), newBanRemoveCommand(), newBanNFTCommand())
	return command
}

func newBanListCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "list",
		Short:   "Which networks are kept out",
		Long:    "Prints the networks that are kept out, until when, how many datagrams and streams\nof theirs were dropped, and who has set the ban, for what.",
		Example: "  sipregctl ban list",
		Args:    cobra.NoArgs,
	}
	c := newJSONClient(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		var bans api.Bans
		out := command.OutOrStdout()
		text, err := c.ask(command.Context(), http.MethodGet, "/bans", nil, nil, &bans)
		switch {
		case err != nil:
			return err
		case c.json:
			return printJSON(out, text)
		case len(bans.Bans) > 0:
			err = newTable(out, terminalWidth(out, false), banColumns...).add(banRows(bans.Bans, time.Now())...)
		}
		if err != nil {
			return err
		}
		fmt.Fprintln(out, plural(len(bans.Bans), "ban", "bans"))
		return nil
	}
	return command
}

var banColumns = []column{
	{title: "NETWORK", rank: 1, least: 15, stays: true},
	{title: "ENDS", rank: 2},
	{title: "DROPPED", rank: 3},
	{title: "BY", rank: 4},
	{title: "WHY", rank: 5},
}

func banRows(bans []api.Ban, now time.Time) (rows [][]string) {
	for _, b := range bans {
		rows = append(rows, []string{b.Network, banEnd(b, now), strconv.FormatUint(b.Dropped, 10), b.By, b.Why})
	}
	return rows
}

func banEnd(b api.Ban, now time.Time) string {
	if b.Until == nil {
		return "when it is lifted"
	}
	return "in " + span(b.Until.Sub(now))
}

func newBanAddCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "add NETWORK",
		Short:   "Keep a network out",
		Long:    banHelp,
		Example: "  sipregctl ban add 192.0.2.7 --for 1h\n  sipregctl ban add 192.0.2.0/24",
		Args:    cobra.ExactArgs(1),

		ValidArgsFunction: cobra.NoFileCompletions,
	}
	c := newJSONClient(command)
	duration := command.Flags().Duration("for", 0, "lift the ban by itself after this `TIME`, such as 90s, 30m or 24h (default: never)")
	command.RunE = func(command *cobra.Command, arguments []string) error {
		wanted := api.NewBan{Network: arguments[0], Seconds: int64(*duration / time.Second)}
		switch {
		case !isNetwork(arguments[0]):
			return usageError(fmt.Sprintf("%q is no network: write an address, or address/bits", arguments[0]))
		case command.Flags().Changed("for") && wanted.Seconds < 1:
			return usageError("--for has to be a second or more")
		}
		var ban api.Ban
		out := command.OutOrStdout()
		text, err := c.ask(command.Context(), http.MethodPost, "/bans", nil, wanted, &ban)
		switch {
		case err != nil:
			return err
		case c.json:
			return printJSON(out, text)
		}
		fmt.Fprintf(out, "%s is banned; it ends %s\n", visible(ban.Network), banEnd(ban, time.Now()))
		return nil
	}
	return command
}

func newBanRemoveCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "remove NETWORK",
		Short:   "Lift a ban",
		Long:    "Lifts the ban of a NETWORK, written as `sipregctl ban list` shows it.\n\nThe exit status is 0, or 1 if there was none.",
		Example: "  sipregctl ban remove 192.0.2.7",
		Args:    cobra.ExactArgs(1),
	}
	c := newJSONClient(command)
	command.ValidArgsFunction = c.completeFirst(c.suggestBans)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		if !isNetwork(arguments[0]) {
			return usageError(fmt.Sprintf("%q is no network: write an address, or address/bits", arguments[0]))
		}
		out := command.OutOrStdout()
		_, err := c.ask(command.Context(), http.MethodDelete, "/bans", url.Values{"network": {arguments[0]}}, nil, nil)
		switch {
		case err != nil:
			return err
		case c.json:
			return printValue(out, api.Removed{Removed: 1})
		}
		fmt.Fprintf(out, "%s is not banned any more\n", visible(arguments[0]))
		return nil
	}
	return command
}

func isNetwork(text string) bool {
	if _, err := netip.ParseAddr(text); err == nil {
		return true
	}
	_, err := netip.ParsePrefix(text)
	return err == nil
}
