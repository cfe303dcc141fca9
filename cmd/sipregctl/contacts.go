package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
)

const contactsHelp = `Prints the bindings: which address-of-record (AOR) is reached where. Of each it
tells

  AOR         the address that the phone has registered
  LABEL       the section of peers.conf that it belongs to
  AUTHNAME    what the phone has proved with its password
  CONTACT     where the phone says that it is reached
  RECEIVED    where its REGISTER came from: behind NAT, that is the router
  VIA         the transport, NAT where the phone sits behind one, and where machines
              share the bindings the name of that which has its connection
  EXPIRES     when the binding ends, if the phone does not refresh it
  SEEN        when the phone has last done so
  ANSWERS     whether it answers when it is asked (qualify_frequency): how fast, or no
  USER-AGENT  what the phone calls itself

With an AOR it prints the bindings of that one, with a GRUU those of one phone; with
--search, those that have a text in any column. On a terminal that is too narrow, long
texts end in "…" and the columns that matter less are left out; --wide keeps them, and
so does a pipe. With --json there is more of each: its id, the instance ID and the Path
of the phone, and what wakes it (push).

The exit status is 0, or 1 if there is no binding of the AOR.`

const contactsExamples = `  sipregctl contacts
  sipregctl contacts 2001
  sipregctl contacts --search Grandstream
  sipregctl contacts --json | jq -r '.contacts[].contact'`

func newContactsCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "contacts [AOR]",
		Short:   "Who is registered, and where",
		Long:    contactsHelp,
		Example: contactsExamples,
		Args:    cobra.MaximumNArgs(1),
	}
	c := newJSONClient(command)
	l := newListing(command, "bindings", "AOR, label, authname, Contact, source or User-Agent")
	command.ValidArgsFunction = c.completeFirst(c.suggestAORs)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		path, err := contactsPath(arguments, l)
		if err != nil {
			return err
		}
		if c.json {
			err = l.printAsOne(command.Context(), c, path, "contacts", command.OutOrStdout())
		} else {
			err = printContacts(command.Context(), c, l, path, command.OutOrStdout())
		}
		if len(arguments) > 0 && hasStatus(err, http.StatusNotFound) {
			return fmt.Errorf("%w\n`sipregctl why %s` tells whether the phone has tried; `sipregctl contacts --search TEXT` looks for parts of names",
				err, asArgument(arguments[0]))
		}
		return err
	}
	return command
}

func contactsPath(arguments []string, l *listing) (string, error) {
	if len(arguments) == 0 {
		return "/contacts", nil
	}
	if l.search != "" {
		return "", usageError("say an AOR or --search, not both")
	}
	return aorPath(arguments[0])
}

// aorPath returns the path of an AOR's bindings.
func aorPath(aor string) (string, error) {
	if aor == "" {
		return "", usageError("the AOR is empty")
	}
	return "/contacts/" + url.PathEscape(aor), nil
}

func printContacts(ctx context.Context, c *client, l *listing, path string, out io.Writer) error {
	t := newTable(out, terminalWidth(out, l.wide), contactColumns...)
	sum := contactSum{}
	err := l.eachPage(ctx, c, path, "contacts", func(p page) error {
		contacts, err := decodeAll[api.Contact](p.entries)
		if err != nil {
			return err
		}
		sum.add(contacts, p.total)
		sum.stale = sum.stale || p.stale
		if len(contacts) == 0 {
			return nil
		}
		return t.add(contactRows(contacts, time.Now())...)
	})
	if err == nil {
		t.end(sum.String())
	}
	return err
}

// contactColumns has the three names side by side, and keeps them.
var contactColumns = []column{
	{title: "AOR", rank: 1, least: 10, stays: true},
	{title: "LABEL", rank: 3, least: 12, stays: true},
	{title: "AUTHNAME", rank: 2, least: 8, stays: true},
	{title: "CONTACT", rank: 6, least: 14},
	{title: "RECEIVED", rank: 5, least: 15},
	{title: "VIA", rank: 7},
	{title: "EXPIRES", rank: 4},
	{title: "SEEN", rank: 8},
	{title: "ANSWERS", rank: 9},
	{title: "USER-AGENT", rank: 10, least: 10},
}

func contactRows(contacts []api.Contact, now time.Time) (rows [][]string) {
	for _, c := range contacts {
		rows = append(rows, []string{c.AOR, c.Label, c.Authname, c.Contact, c.Source, via(c),
			seconds(c.ExpiresIn), ago(now, c.LastSeen), roundTrip(c), c.UserAgent})
	}
	return rows
}

// via tells how a phone has come.
func via(c api.Contact) string {
	text := c.Transport
	if c.NAT {
		text += " NAT"
	}
	if c.Node != "" {
		text += " at " + c.Node
	}
	return text
}

// roundTrip tells how fast a phone answers, or that it does not; empty where it was not asked.
func roundTrip(c api.Contact) string {
	if c.Reachable == "yes" {
		return fmt.Sprintf("%.1f ms", c.RoundTrip)
	}
	return c.Reachable
}

// contactSum counts bindings that come ordered by AOR.
type contactSum struct {
	bindings, addresses, total int
	last                       string
	stale                      bool
}

func (s *contactSum) add(contacts []api.Contact, total int) {
	s.total = total
	for _, c := range contacts {
		if s.bindings == 0 || c.AOR != s.last {
			s.addresses++
		}
		s.bindings, s.last = s.bindings+1, c.AOR
	}
}

// redisIsAway says of bindings that they are stale.
const redisIsAway = "; Redis IS AWAY: this is what this node saw last, and others may be bound by now"

// String returns the line below the table.
func (s *contactSum) String() string {
	if s.stale {
		return s.counted() + redisIsAway
	}
	return s.counted()
}

func (s *contactSum) counted() string {
	switch {
	case s.bindings == 0:
		return "no bindings"
	case s.bindings < s.total:
		return fmt.Sprintf("the first %d of %d bindings", s.bindings, s.total)
	}
	return plural(s.bindings, "binding", "bindings") + " of " + plural(s.addresses, "address", "addresses")
}
