package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
	"sipregd/internal/journal"
)

const watchHelp = `Prints what happens, a line for each event, until Ctrl-C ends it: bindings that come
and go, and requests that are refused.

The name is what you know of the phone: an AOR (2001 or 2001@example.com), its
authname, its label, or the address or network that it comes from. Without a name it
prints the events of all phones.

Where events come faster than the terminal takes them, a line says how many were
left out.`

const watchExamples = `  sipregctl watch
  sipregctl watch --all 2001
  sipregctl watch --kinds refused 192.0.2.0/24
  sipregctl watch --kinds added -n 1 2001 && echo "2001 is there"
  sipregctl watch --json | jq -r 'select(.reason == "wrong_secret").src_ip'`

// watching is the command line of watch.
type watching struct {
	client *client
	name   string
	kinds  []string
	all    bool
	retry  bool
	wide   bool
	since  uint64
	limit  int
}

func newWatchCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "watch [AOR|AUTHNAME|LABEL|ADDRESS]",
		Short:   "What happens, as it happens",
		Long:    watchHelp,
		Example: watchExamples,
		Args:    cobra.MaximumNArgs(1),
	}
	w := &watching{client: newClient(command)}
	flags := command.Flags()
	flags.BoolVar(&w.client.json, "json", false, "print a line of JSON for each event")
	flags.BoolVar(&w.all, "all", false, "print refreshes, queries and challenges too")
	flags.StringSliceVar(&w.kinds, "kinds", nil, "print just events of these `KINDS`, with commas: "+strings.Join(eventKinds(), ", "))
	flags.BoolVar(&w.retry, "retry", false, "when the daemon goes away, wait until it is back")
	flags.BoolVar(&w.wide, "wide", false, "leave nothing out and cut nothing off, however narrow the terminal")
	flags.Uint64Var(&w.since, "since", 0, "begin behind the event of this sequence number, if it is still remembered")
	flags.IntVarP(&w.limit, "limit", "n", 0, "end after so many events (default: when it is interrupted)")
	_ = command.RegisterFlagCompletionFunc("kinds", cobra.FixedCompletions(eventKinds(), cobra.ShellCompDirectiveNoFileComp))
	_ = command.RegisterFlagCompletionFunc("since", cobra.NoFileCompletions)
	command.ValidArgsFunction = w.client.completeFirst(w.client.suggestNames)
	command.RunE = func(command *cobra.Command, arguments []string) (err error) {
		w.name, err = nameOf(arguments)
		switch {
		case err != nil:
			return err
		case w.all && len(w.kinds) > 0:
			return usageError("say --all or --kinds, not both")
		case w.limit < 0:
			return errLimit
		}
		if err := w.checkKinds(); err != nil {
			return err
		}
		out := command.OutOrStdout()
		v := &viewer{out: out, errs: command.ErrOrStderr(), json: w.client.json, last: w.since, left: w.limit,
			table: newTable(out, terminalWidth(out, w.wide), eventColumns...)}
		return w.run(command.Context(), v)
	}
	return command
}

// checkKinds refuses what is no kind of events.
func (w *watching) checkKinds() error {
	if len(w.kinds) == 1 && w.kinds[0] == "all" {
		return nil
	}
	for _, name := range w.kinds {
		if err := new(journal.Kind).UnmarshalText([]byte(name)); err != nil {
			return usageError(fmt.Sprintf("%v: write some of %s with commas, or all", err, strings.Join(eventKinds(), ", ")))
		}
	}
	return nil
}

// run watches until somebody stops it, or the daemon goes away for good.
func (w *watching) run(ctx context.Context, v *viewer) error {
	for said := ""; ; {
		err := w.once(ctx, v)
		if ctx.Err() != nil || errors.Is(err, errEnough) {
			return nil // Ctrl-C is how it ends
		}
		var refused *refusedError
		if errors.As(err, &refused) || errors.As(err, new(writeError)) || !w.retry {
			return err
		}
		if text := err.Error(); text != said || errors.Is(err, errGone) {
			v.say(text + "; trying again")
			said = text
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryPause):
		}
	}
}

const retryPause = time.Second

// once watches until the daemon goes away.
func (w *watching) once(ctx context.Context, v *viewer) error {
	request, err := newRequest(ctx, http.MethodGet, "/events", w.query(v.last), nil)
	if err != nil {
		return err
	}
	request.Header.Set("Accept", "text/event-stream")
	response, err := w.client.do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(response.Body, 1<<16))
		return &refusedError{response.StatusCode, text}
	}
	if err := eachMessage(response.Body, v.take); err != nil {
		return err
	}
	return errGone
}

var errGone = errors.New("the daemon has gone away: it was stopped, or started anew")

func (w *watching) query(last uint64) url.Values {
	query := url.Values{}
	if w.name != "" {
		query.Set("q", w.name)
	}
	if w.all {
		query.Set("kinds", "all")
	} else if len(w.kinds) > 0 {
		query.Set("kinds", strings.Join(w.kinds, ","))
	}
	if last > 0 {
		query.Set("after", strconv.FormatUint(last, 10))
	}
	return query
}

// viewer prints events.
type viewer struct {
	out, errs io.Writer
	json      bool
	table     *table
	last      uint64 // sequence number of the last one
	left      int    // how many are still to be printed; 0: all
}

// errEnough ends a watch that has seen as much as it should.
var errEnough = errors.New("enough")

// writeError is about the output: nobody reads it any more.
type writeError struct{ error }

func (e writeError) Unwrap() error { return e.error }

// take prints a message.
func (v *viewer) take(m message) error {
	switch m.event {
	case "event":
		return v.event(m.data)
	case "missed":
		return v.missed(m.data)
	}
	return nil
}

func (v *viewer) event(data []byte) error {
	var e api.Event
	if err := json.Unmarshal(data, &e); err != nil {
		return fmt.Errorf("the daemon sends what is no event: %w", err)
	}
	v.last = e.Seq
	if err := v.print(e, data); err != nil {
		return writeError{err}
	}
	if v.left--; v.left == 0 {
		return errEnough
	}
	return nil
}

func (v *viewer) print(e api.Event, data []byte) error {
	if v.json {
		return printJSON(v.out, data)
	}
	return v.table.add(eventRow(e))
}

func (v *viewer) missed(data []byte) error {
	var m api.Missed
	if err := json.Unmarshal(data, &m); err != nil {
		return fmt.Errorf("the daemon sends what is no message: %w", err)
	}
	if v.json {
		if err := printJSON(v.out, data); err != nil {
			return writeError{err}
		}
		return nil
	}
	v.say(plural(int(m.Missed), "event was", "events were") + " left out here: they came faster than they were taken")
	return nil
}

// say prints what is no event, beside the output.
func (v *viewer) say(text string) {
	fmt.Fprintln(v.errs, "sipregctl:", strings.Join(visibleLines(text), "\n"))
}

// eventColumns begins as a log does, then has the order of contactColumns.
var eventColumns = []column{
	{title: "TIME", rank: 5, usual: 8},
	{title: "EVENT", rank: 1, usual: 10, stays: true},
	{title: "AOR", rank: 2, least: 8, usual: 8, stays: true},
	{title: "LABEL", rank: 4, least: 12, usual: 12, stays: true},
	{title: "AUTHNAME", rank: 3, least: 8, stays: true},
	{title: "REASON", rank: 4, least: 12, usual: 20, stays: true},
	{title: "CONTACT", rank: 8, least: 14, usual: 23},
	{title: "RECEIVED", rank: 6, least: 15, usual: 18},
	{title: "VIA", rank: 9},
	{title: "EXPIRES", rank: 7, usual: 11},
	{title: "USER-AGENT", rank: 10, least: 10},
}

func eventRow(e api.Event) []string {
	expires := ""
	if e.Expires > 0 {
		expires = seconds(e.Expires)
	}
	return []string{e.Time.Local().Format(time.TimeOnly), e.Event, e.AOR, e.Label, e.Authname, e.Reason,
		e.Contact, sourceOf(e), e.Transport, expires, e.UserAgent}
}

// eventKinds returns the names of all kinds, as they stand in the log.
func eventKinds() (names []string) {
	for _, kind := range journal.Kinds() {
		names = append(names, kind.String())
	}
	return names
}
