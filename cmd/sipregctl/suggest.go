package main

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
)

const (
	longestSuggestion = time.Second // that a shell waits for names to complete
	mostSuggestions   = 200
)

// suggester returns names that begin with what is typed, each with what to say of
// it.
type suggester func(ctx context.Context, typed string) []cobra.Completion

// completeFirst completes the first argument with what the suggesters find, and
// nothing where the daemon cannot be asked.
func (c *client) completeFirst(suggesters ...suggester) cobra.CompletionFunc {
	return func(command *cobra.Command, arguments []string, typed string) ([]cobra.Completion, cobra.ShellCompDirective) {
		var found []cobra.Completion
		if len(arguments) == 0 {
			ctx, cancel := context.WithTimeout(command.Context(), longestSuggestion)
			defer cancel()
			for _, suggest := range suggesters {
				found = append(found, suggest(ctx, typed)...)
			}
		}
		return found, cobra.ShellCompDirectiveNoFileComp
	}
}

// suggestAORs finds AORs that have bindings.
func (c *client) suggestAORs(ctx context.Context, typed string) (found []cobra.Completion) {
	var page api.Contacts
	if c.lookUp(ctx, "/contacts", typed, &page) != nil {
		return nil
	}
	last := ""
	for _, contact := range page.Contacts {
		if contact.AOR != last {
			found = suggest(found, typed, contact.AOR, contact.Label)
		}
		last = contact.AOR
	}
	return found
}

// suggestLabels finds labels of peers.
func (c *client) suggestLabels(ctx context.Context, typed string) (found []cobra.Completion) {
	var page api.Peers
	if c.lookUp(ctx, "/peers", typed, &page) != nil {
		return nil
	}
	for _, peer := range page.Peers {
		found = suggest(found, typed, peer.Label, aorsOf(peer))
	}
	return found
}

// suggestNames finds all three names of peers.
func (c *client) suggestNames(ctx context.Context, typed string) (found []cobra.Completion) {
	var page api.Peers
	if c.lookUp(ctx, "/peers", typed, &page) != nil {
		return nil
	}
	for _, peer := range page.Peers {
		found = suggest(found, typed, peer.Label, "label")
		found = suggest(found, typed, peer.Authname, "authname of "+peer.Label)
		for _, aor := range peer.AORs {
			found = suggest(found, typed, aor, "AOR of "+peer.Label)
		}
	}
	return found
}

func (c *client) lookUp(ctx context.Context, path, typed string, page any) error {
	query := url.Values{"limit": {strconv.Itoa(mostSuggestions)}}
	if typed != "" {
		query.Set("q", typed)
	}
	_, err := c.ask(ctx, http.MethodGet, path, query, nil, page)
	return err
}

// suggest appends a name that begins with what is typed, once, unless it holds what
// a shell or its terminal might take for something else.
func suggest(found []cobra.Completion, typed, name, about string) []cobra.Completion {
	if name == "" || !strings.HasPrefix(name, typed) || visible(name) != name || strings.ContainsAny(name, "$`\\\"'!") {
		return found
	}
	if slices.ContainsFunc(found, func(c cobra.Completion) bool { return strings.HasPrefix(c+"\t", name+"\t") }) {
		return found
	}
	return append(found, cobra.CompletionWithDesc(name, visible(about)))
}

// suggestContacts finds the Contacts of an AOR.
func (c *client) suggestContacts(ctx context.Context, aor, typed string) (found []cobra.Completion) {
	ctx, cancel := context.WithTimeout(ctx, longestSuggestion)
	defer cancel()
	var page api.Contacts
	path, err := aorPath(aor)
	if err != nil || c.lookUp(ctx, path, "", &page) != nil {
		return nil
	}
	for _, contact := range page.Contacts {
		found = suggest(found, typed, contact.Contact, contact.UserAgent)
	}
	return found
}

// suggestBans finds networks that are kept out.
func (c *client) suggestBans(ctx context.Context, typed string) (found []cobra.Completion) {
	var bans api.Bans
	if c.lookUp(ctx, "/bans", "", &bans) != nil {
		return nil
	}
	for _, ban := range bans.Bans {
		found = suggest(found, typed, ban.Network, banEnd(ban, time.Now()))
	}
	return found
}
