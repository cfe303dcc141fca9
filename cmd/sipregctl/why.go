package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
)

const whyHelp = `Tells why a phone is not registered: what is registered now, then the last attempts
that match, the latest first, and for each failure the cause and the cure.

The name is what you know of the phone: an AOR (2001 or 2001@example.com), its
authname, its label, or the address or network that it comes from. Without a name it
tells the last failures of all phones.

Of each attempt it tells the three names as the phone sent them and peers.conf knows
them:

  AOR        the address that the phone wants: its User ID
  authname   what it proves with its password: its Auth ID
  label      the section of peers.conf, once the phone has proved its authname

The exit status is 0 if something that matches is registered, and 1 if nothing is, or
if the daemon cannot be asked. Without a name it is 0 if no failure is known.`

const whyExamples = `  sipregctl why 2001
  sipregctl why 'Kitchen, 1st floor' -n 1
  sipregctl why 192.0.2.7
  sipregctl why 192.0.2.0/24
  until sipregctl why 2001 >/dev/null; do sleep 1; done`

func newWhyCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "why [AOR|AUTHNAME|LABEL|ADDRESS]",
		Short:   "Why a phone is not registered, and what helps",
		Long:    whyHelp,
		Example: whyExamples,
		Args:    cobra.MaximumNArgs(1),
	}
	c := newJSONClient(command)
	limit := command.Flags().IntP("limit", "n", 5, "tell of so many attempts at most")
	command.ValidArgsFunction = c.completeFirst(c.suggestNames)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		if *limit < 1 {
			return usageError("--limit has to be more than nothing")
		}
		name, err := nameOf(arguments)
		if err != nil {
			return err
		}
		why, text, err := askWhy(command.Context(), c, name, *limit)
		if err != nil {
			return err
		}
		out := command.OutOrStdout()
		if c.json {
			err = printJSON(out, text)
		} else {
			printWhy(out, terminalWidth(out, false), why, time.Now())
		}
		if err == nil && !isWell(why) {
			err = errSaid
		}
		return err
	}
	return command
}

// nameOf returns the name of the phone that is asked about, if any. An empty one
// does not come to mean all phones.
func nameOf(arguments []string) (string, error) {
	name := strings.Join(arguments, "")
	if name == "" && len(arguments) > 0 {
		return "", usageError("the name is empty: leave it out for all phones")
	}
	return name, nil
}

func askWhy(ctx context.Context, c *client, name string, limit int) (why api.Why, text []byte, err error) {
	query := url.Values{"limit": {strconv.Itoa(limit)}}
	if name != "" {
		query.Set("q", name)
	}
	text, err = c.ask(ctx, http.MethodGet, "/why", query, nil, &why)
	return why, text, err
}

// isWell tells whether something is registered. Where all failures are asked for,
// none are the best answer.
func isWell(why api.Why) bool {
	if why.Query == "" {
		return len(why.Attempts) == 0
	}
	return len(why.Registered) > 0
}

func printWhy(out io.Writer, width int, why api.Why, now time.Time) {
	printRegistered(out, width, why.Registered)
	if why.Note != "" {
		paragraph(out, width, "", why.Note)
	}
	for i, attempt := range why.Attempts {
		if i > 0 || why.Note != "" || len(why.Registered) > 0 {
			fmt.Fprintln(out)
		}
		printAttempt(out, width, attempt, now)
	}
}

// mostRegistered is how many bindings are told of; contacts lists all.
const mostRegistered = 5

// printRegistered says what is registered now, whoever else has failed.
func printRegistered(out io.Writer, width int, registered []api.Contact) {
	for _, c := range registered[:min(len(registered), mostRegistered)] {
		silent := ""
		if c.Reachable == "no" {
			silent = ", BUT DOES NOT ANSWER"
		}
		paragraph(out, width, "", fmt.Sprintf("REGISTERED: %s at %s by [%s] (authname %s), expires in %s%s",
			c.AOR, c.Contact, c.Label, c.Authname, span(time.Duration(c.ExpiresIn)*time.Second), silent))
	}
	if more := len(registered) - mostRegistered; more > 0 {
		paragraph(out, width, "", fmt.Sprintf("and %d more: sipregctl contacts lists them", more))
	}
}

func printAttempt(out io.Writer, width int, a api.Attempt, now time.Time) {
	paragraph(out, width, "", headline(a, now))
	paragraph(out, width, "  ", "AOR "+orNone(a.AOR)+", authname "+orNone(a.Authname)+", label "+orNone(a.Label))
	if from := origin(a.Event); from != "" {
		paragraph(out, width, "  ", from)
	}
	switch {
	case a.Cause != "" && a.Failed:
		paragraph(out, width, "  Cause: ", a.Cause)
	case a.Cause != "":
		paragraph(out, width, "  ", a.Cause)
	}
	if a.Cure != "" {
		paragraph(out, width, "  Cure:  ", a.Cure)
	}
	if a.Where != "" {
		paragraph(out, width, "  See    ", a.Where)
	}
}

// headline says when, what and how often.
func headline(a api.Attempt, now time.Time) string {
	when := ago(now, a.Time)
	line := strings.ToUpper(when[:1]) + when[1:] + ": "
	switch {
	case a.Failed && a.Event.Event == "challenged":
		line += "FAILED: challenged, and no answer came"
	case a.Failed:
		line += "FAILED: " + a.Event.Event
	case a.Event.Event == "added", a.Event.Event == "refreshed":
		line += "registered, for " + seconds(a.Event.Expires)
	default:
		line += a.Event.Event
	}
	if a.Reason != "" {
		line += ", " + a.Reason
	}
	if a.Status != 0 {
		line += fmt.Sprintf(" (%d)", a.Status)
	}
	if a.Times > 1 {
		line += fmt.Sprintf(", %d times in a row", a.Times)
	}
	return line
}

// orNone stands for what a phone did not say, or has not proved.
func orNone(text string) string {
	if text == "" {
		return "(none)"
	}
	return text
}

// origin says where a request came from, and of whom.
func origin(e api.Event) string {
	var parts []string
	if e.SourceIP != "" {
		parts = append(parts, "from "+sourceOf(e))
	}
	if e.Transport != "" {
		parts = append(parts, "over "+e.Transport)
	}
	if e.UserAgent != "" {
		parts = append(parts, "by "+e.UserAgent)
	}
	return strings.Join(parts, " ")
}

// sourceOf returns address:port.
func sourceOf(e api.Event) string {
	if e.SourceIP == "" {
		return ""
	}
	return net.JoinHostPort(e.SourceIP, strconv.Itoa(int(e.Port)))
}
