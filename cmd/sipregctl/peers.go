package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"sipregd/internal/admin/api"
)

const peersHelp = `Prints the peers that the daemon has read from peers.conf: their three names, how
many bindings each has made, and where it stands. No secret is shown: the daemon
does not give them away.

With a LABEL it tells all of that one, with what holds where the section says
nothing.`

const peersExamples = `  sipregctl peers
  sipregctl peers 'Kitchen, 1st floor'
  sipregctl peers --search 2001`

func newPeersCommand() *cobra.Command {
	command := &cobra.Command{
		Use:     "peers [LABEL]",
		Short:   "Who may register, and for which address",
		Long:    peersHelp,
		Example: peersExamples,
		Args:    cobra.MaximumNArgs(1),
	}
	c := newJSONClient(command)
	l := newListing(command, "peers", "label, authname or AORs")
	command.ValidArgsFunction = c.completeFirst(c.suggestLabels)
	command.RunE = func(command *cobra.Command, arguments []string) error {
		out := command.OutOrStdout()
		switch {
		case len(arguments) > 0 && l.search != "":
			return usageError("say a LABEL or --search, not both")
		case len(arguments) > 0:
			return printPeer(command.Context(), c, arguments[0], out)
		case c.json:
			return l.printAsOne(command.Context(), c, "/peers", "peers", out)
		}
		return printPeers(command.Context(), c, l, out)
	}
	return command
}

func printPeers(ctx context.Context, c *client, l *listing, out io.Writer) error {
	t := newTable(out, terminalWidth(out, l.wide), peerColumns...)
	count, total, stale := 0, 0, ""
	err := l.eachPage(ctx, c, "/peers", "peers", func(p page) error {
		peers, err := decodeAll[api.Peer](p.entries)
		if err != nil {
			return err
		}
		if p.stale {
			stale = redisIsAway
		}
		if count, total = count+len(peers), p.total; len(peers) == 0 {
			return nil
		}
		return t.add(peerRows(peers)...)
	})
	switch {
	case err != nil:
		return err
	case count == 0:
		t.end("no peers")
	case count < total:
		t.end(fmt.Sprintf("the first %d of %d peers", count, total) + stale)
	default:
		t.end(plural(count, "peer", "peers") + stale)
	}
	return nil
}

var peerColumns = []column{
	{title: "LABEL", rank: 3, least: 8, stays: true},
	{title: "AUTHNAME", rank: 2, least: 8, stays: true},
	{title: "AORNAME", rank: 1, least: 8, stays: true},
	{title: "BINDINGS", rank: 4},
	{title: "ENABLED", rank: 5},
	{title: "PERMIT", rank: 7, least: 12},
	{title: "WHERE", rank: 6, least: 12},
}

func peerRows(peers []api.Peer) (rows [][]string) {
	for _, p := range peers {
		rows = append(rows, []string{p.Label, p.Authname, aorsOf(p), strconv.Itoa(p.Bindings), yesNo(p.Enabled),
			strings.Join(p.Permit, ", "), p.Where})
	}
	return rows
}

// aorsOf returns what the peer may register, as it is written in peers.conf.
func aorsOf(p api.Peer) string {
	aors := p.AORs
	if p.AnyAOR {
		aors = append(aors[:len(aors):len(aors)], "*")
	}
	return strings.Join(aors, ", ")
}

func yesNo(on bool) string {
	if on {
		return "yes"
	}
	return "no"
}

func printPeer(ctx context.Context, c *client, label string, out io.Writer) error {
	peer, text, err := askPeer(ctx, c, label)
	switch {
	case err != nil:
		return err
	case c.json:
		return printJSON(out, text)
	}
	printDetails(out, terminalWidth(out, false), peerDetails(peer))
	return nil
}

// askPeer returns the peer, and the answer as it came.
func askPeer(ctx context.Context, c *client, label string) (peer api.Peer, text []byte, err error) {
	if label == "" {
		return peer, nil, usageError("the LABEL is empty")
	}
	text, err = c.get(ctx, "/peers/"+url.PathEscape(label), nil, &peer)
	if hasStatus(err, http.StatusNotFound) {
		err = fmt.Errorf("%w\n`sipregctl peers --search TEXT` looks for parts of names", err)
	}
	return peer, text, err
}

// listedNames returns names of certificates as certificate_name in peers.conf has them.
func listedNames(names []string) string {
	var listed []string
	for _, name := range names {
		if strings.ContainsAny(name, ",=") {
			name = `"` + name + `"`
		}
		listed = append(listed, name)
	}
	return strings.Join(listed, ", ")
}

// peerDetails has the names of the keys of peers.conf.
func peerDetails(p api.Peer) []detail {
	permit := strings.Join(p.Permit, ", ")
	if permit == "" {
		permit = "(all networks)"
	}
	algorithm := p.Algorithm
	if algorithm == "" {
		algorithm = "(any that is offered)"
	}
	certificate := "(none)"
	if len(p.CertificateNames) > 0 {
		certificate = listedNames(p.CertificateNames)
	}
	bindings := strconv.Itoa(p.Bindings)
	if p.Stale {
		bindings += redisIsAway
	}
	return []detail{
		{"label", p.Label},
		{"authname", p.Authname},
		{"aorname", aorsOf(p)},
		{"bindings", bindings},
		{"enabled", yesNo(p.Enabled)},
		{"realm", strings.Join(p.Realms, ", ")},
		{"algorithm", algorithm},
		{"certificate_name", certificate},
		{"permit", permit},
		{"max_contacts", strconv.Itoa(p.MaxContacts)},
		{"max_aors", strconv.Itoa(p.MaxAORs)},
		{"remove_existing", yesNo(p.RemoveExisting)},
		{"remove_unavailable", yesNo(p.RemoveUnavailable)},
		{"cseq_reset", yesNo(p.CSeqReset)},
		{"recognize_phone", p.RecognizePhone},
		{"qualify_frequency", p.QualifyFrequency},
		{"qualify_timeout", strconv.Itoa(p.QualifyTimeout)},
		{"minimum_expiration", fmt.Sprintf("%d (%s)", p.MinimumExpiration, seconds(int64(p.MinimumExpiration)))},
		{"default_expiration", fmt.Sprintf("%d (%s)", p.DefaultExpiration, seconds(int64(p.DefaultExpiration)))},
		{"maximum_expiration", fmt.Sprintf("%d (%s)", p.MaximumExpiration, seconds(int64(p.MaximumExpiration)))},
		{"where", p.Where},
	}
}
