package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"

	"github.com/spf13/cobra"
)

// onePage is how many entries are asked for at once: as many as the daemon gives,
// since it goes through all that it has for each page.
const onePage = 10000

// listing is what is asked for page by page. Its fields are flags.
type listing struct {
	search string
	limit  int
	wide   bool
}

func newListing(command *cobra.Command, things, fields string) *listing {
	l := &listing{}
	flags := command.Flags()
	flags.StringVar(&l.search, "search", "", "just those that have `TEXT` somewhere in "+fields)
	flags.IntVar(&l.limit, "limit", 0, "print so many "+things+" at most (default: all)")
	flags.BoolVar(&l.wide, "wide", false, "leave nothing out and cut nothing off, however narrow the terminal")
	_ = command.RegisterFlagCompletionFunc("search", cobra.NoFileCompletions)
	return l
}

const errLimit = usageError("--limit has to be 0 or more, 0 for all")

// page is what all pages have: how many entries there are on all of them, some
// entries, each as it came, and what to ask for next.
type page struct {
	total   int
	entries []json.RawMessage
	next    string
	stale   bool // the store is away: these are what the daemon saw last
}

// readPage reads a page whose entries stand in the field of that name.
func readPage(text []byte, field string) (p page, err error) {
	var fields map[string]json.RawMessage
	if err = json.Unmarshal(text, &fields); err != nil {
		return p, err
	}
	for name, value := range map[string]any{"total": &p.total, field: &p.entries, "next": &p.next, "stale": &p.stale} {
		if raw, ok := fields[name]; ok && err == nil {
			err = json.Unmarshal(raw, value)
		}
	}
	return p, err
}

// eachPage asks for page after page below path, up to the limit, and hands them
// out.
func (l *listing) eachPage(ctx context.Context, c *client, path, field string, take func(page) error) error {
	if l.limit < 0 {
		return errLimit
	}
	left, after := l.limit, ""
	for {
		query := url.Values{"limit": {strconv.Itoa(onePage)}}
		if l.limit > 0 {
			query.Set("limit", strconv.Itoa(min(left, onePage)))
		}
		if l.search != "" {
			query.Set("q", l.search)
		}
		if after != "" {
			query.Set("after", after)
		}
		text, err := c.ask(ctx, http.MethodGet, path, query, nil, nil)
		if err != nil {
			return err
		}
		p, err := readPage(text, field)
		if err != nil {
			return fmt.Errorf("the answer of the daemon is no page of %s: %w", field, err)
		}
		if l.limit > 0 && len(p.entries) > left { // an AOR is never split
			p.entries = p.entries[:left]
		}
		if err := take(p); err != nil {
			return err
		}
		left, after = left-len(p.entries), p.next
		if after == "" || l.limit > 0 && left <= 0 {
			return nil
		}
	}
}

// printAsOne prints all pages as one, with the entries as they came.
func (l *listing) printAsOne(ctx context.Context, c *client, path, field string, out io.Writer) error {
	begun, stale := false, false
	err := l.eachPage(ctx, c, path, field, func(p page) error {
		var text bytes.Buffer
		if !begun {
			fmt.Fprintf(&text, `{"total":%d,"%s":[`, p.total, field)
		}
		for i, entry := range p.entries {
			if begun || i > 0 {
				text.WriteByte(',')
			}
			text.Write(visibleJSON(entry))
		}
		begun, stale = true, stale || p.stale
		_, err := out.Write(text.Bytes())
		return err
	})
	end := "]}\n"
	if stale {
		end = `],"stale":true}` + "\n"
	}
	if err == nil {
		_, err = io.WriteString(out, end)
	}
	return err
}

// decodeAll reads entries.
func decodeAll[T any](entries []json.RawMessage) ([]T, error) {
	all := make([]T, len(entries))
	for i, entry := range entries {
		if err := json.Unmarshal(entry, &all[i]); err != nil {
			return nil, fmt.Errorf("the answer of the daemon is not what this sipregctl knows, are both of one version? %w", err)
		}
	}
	return all, nil
}
