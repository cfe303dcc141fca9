package main

import (
	"cmp"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
)

const statsHelp = `Prints how the daemon does: how much it keeps, how often what has happened since its
start, whether bindings are saved, and what the last reload has come to.`

func newStatsCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "stats",
		Short:   "How the daemon does",
		Long:    statsHelp,
		Example: "  sipregctl stats\n  sipregctl stats --json | jq .bindings",
		Args:    cobra.NoArgs,
	}
	c := newJSONClient(command)
	command.RunE = func(command *cobra.Command, _ []string) error {
		var stats api.Stats
		text, err := c.ask(command.Context(), http.MethodGet, "/stats", nil, nil, &stats)
		switch {
		case err != nil:
			return err
		case c.json:
			return printJSON(command.OutOrStdout(), text)
		}
		out := command.OutOrStdout()
		printStats(out, terminalWidth(out, false), stats, time.Now())
		return nil
	}
	return command
}

func printStats(out io.Writer, width int, s api.Stats, now time.Time) {
	printDetails(out, width, []detail{
		{"version", s.Version},
		{"running", fmt.Sprintf("for %s, since %s", seconds(s.Uptime), s.Started.Local().Format(time.DateTime))},
		{"listens on", strings.Join(s.Listen, ", ")},
		{"peers", strconv.Itoa(s.Peers)},
		{"bindings", fmt.Sprintf("%d of %s", s.Bindings, plural(s.AORs, "address", "addresses"))},
		{"streams", strconv.Itoa(s.Streams)},
		{"transactions", strconv.Itoa(s.Transactions)},
		{"bans", strconv.Itoa(s.Bans)},
		{"store", storeState(s.Store, now)},
		{"last reload", reloadState(s.Reload, now)},
		{"webhook", webhookState(s.Webhook)},
	})
	printCounts(out, width, "Events", s.Events)
	printCounts(out, width, "Refusals", s.Refusals)
}

func storeState(s api.Store, now time.Time) string {
	if s.Failure == "" {
		if s.Durable {
			return s.Kind + ", all is saved"
		}
		return s.Kind
	}
	text := s.Kind + ", NOT SAVED: " + s.Failure
	if s.Kind == "redis" {
		text = s.Kind + ", AWAY: " + s.Failure
	}
	if s.Since != nil {
		text += ", since " + strings.TrimSuffix(ago(now, *s.Since), " ago")
	}
	if s.Kind == "redis" {
		return text + ", and registrations are answered 503"
	}
	return text + ", " + plural(s.Unsaved, "address waits", "addresses wait")
}

func reloadState(r api.Reload, now time.Time) string {
	if r.Time.IsZero() {
		return "none since the start"
	}
	if !r.OK {
		return ago(now, r.Time) + ", FAILED: " + strings.Join(r.Errors, "; ")
	}
	return ago(now, r.Time) + ": " + plural(r.Peers, "peer", "peers")
}

func webhookState(w *api.Webhook) string {
	if w == nil {
		return ""
	}
	text := fmt.Sprintf("%d posted, %d dropped", w.Posted, w.Dropped)
	if w.Failure != "" {
		text += ", FAILS: " + w.Failure
	}
	return text
}

// printCounts prints the most frequent first, and leaves out what never happened.
func printCounts(out io.Writer, width int, title string, counts map[string]uint64) {
	var all []detail
	for _, name := range slices.SortedFunc(maps.Keys(counts), func(a, b string) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(a, b))
	}) {
		if counts[name] > 0 {
			all = append(all, detail{"  " + name, strconv.FormatUint(counts[name], 10)})
		}
	}
	if len(all) > 0 {
		fmt.Fprintf(out, "\n%s since the start:\n", title)
		printDetails(out, width, all)
	}
}
