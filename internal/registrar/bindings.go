package registrar

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// Step 6. Without a Contact nothing changes: the registrar skips to the last
// step.
func (g *registration) isQuery() bool {
	return !g.request.Contacts.Star && len(g.request.Contacts.Values) == 0
}

func (g *registration) findBindings() *message.Response {
	if g.provesLater {
		if end := g.commit(g.unchanged); end != nil {
			return end
		}
	} else {
		bindings, stale := g.Lookup(g.aor, g.now)
		if stale {
			return g.EndUnknown()
		}
		g.list(bindings)
	}
	g.journal.Record(g.Event(journal.Listed, journal.None))
	return nil
}

// Step 6. "*" removes all bindings, and has to stand with an Expires of 0. Of
// the same Call-ID each has to have a lower CSeq, or none is removed.
func (g *registration) removeAllForWildcard() *message.Response {
	if !g.request.Contacts.Star {
		return nil
	}
	if asked := g.request.Expires; !asked.Present || !asked.Valid || asked.Seconds != 0 {
		return g.End(400, "Contact * Needs Expires 0", journal.WildcardMisused, "")
	}
	return g.commit(g.removeAll)
}

func (g *registration) planRemovalOfAll(current []location.Binding) *refusal {
	for i := range current {
		if refused := g.checkNewer(&current[i]); refused != nil {
			return refused
		}
	}
	g.changes.removed = append(g.changes.removed, current...)
	return nil
}

// Step 7, for the Contacts of the request together.
func (g *registration) updateEach() *message.Response {
	if g.request.Contacts.Star {
		return nil
	}
	if end := g.readAsked(); end != nil {
		return end
	}
	if end := g.checkOutbound(); end != nil {
		return end
	}
	if end := g.checkAORs(); end != nil {
		return end
	}
	g.shortenAll()
	return g.commit(g.update)
}

// asked is what the request wants of one Contact.
type asked struct {
	uri      sipuri.URI // of the Contact
	instance string     // of the phone, empty: it says none
	regID    uint32     // of its flow, 0: outbound (RFC 5626) is not used
	binding  location.Binding
	remove   bool
}

// readAsked works out the expiry of each Contact and makes its binding. One of
// sips: is not taken over a way that is not secure (§10.2.1, §26.2.2), but may be
// given up over any.
func (g *registration) readAsked() *message.Response {
	for i := range g.request.Contacts.Values {
		contact := &g.request.Contacts.Values[i]
		seconds, end := g.expiration(contact)
		if end != nil {
			return end
		}
		if end := g.checkContact(contact, seconds); end != nil {
			return end
		}
		next := asked{contact.URI, contact.Instance, g.regID(contact), g.binding(contact, seconds), seconds == 0}
		switch earlier := sameContact(g.asked, &contact.URI); {
		case earlier == nil:
			g.asked = append(g.asked, next)
		case earlier.remove != next.remove || !earlier.binding.Expires.Equal(next.binding.Expires):
			return g.End(400, "Contact Given Twice", journal.ContactGivenTwice, contact.Text)
		}
	}
	return nil
}

// checkContact refuses what nobody may be bound to.
func (g *registration) checkContact(contact *message.Contact, seconds uint32) *message.Response {
	switch {
	case seconds == 0:
		return nil
	case !g.isSecureEnough(&contact.URI):
		return g.End(403, "SIPS Needs TLS", journal.SIPSWithoutTLS, "the Contact is "+contact.Text)
	case g.isGRUU(&contact.URI):
		return g.End(403, "Contact Is A GRUU", journal.ContactIsGRUU, contact.Text)
	}
	if end := g.CheckDestination("Contact", &contact.URI, contact.Text); end != nil || g.request.Path.Text == "" {
		return end
	}
	return g.CheckDestination("Path", &g.request.Path.First, g.request.Path.Text)
}

// sameContact returns what is asked of an equal URI (§19.1.4), nil: nothing.
func sameContact(list []asked, uri *sipuri.URI) *asked {
	for i := range list {
		if list[i].uri.Equal(*uri) {
			return &list[i]
		}
	}
	return nil
}

// expiration returns the seconds that a Contact is granted, 0 to remove it:
// its parameter, else Expires, else what stands in its URI, else the default;
// malformed counts as the default. 423 stands for less than the minimum and less than an hour only.
func (g *registration) expiration(contact *message.Contact) (uint32, *message.Response) {
	wish := contact.Expires
	if !wish.Present {
		wish = g.request.Expires
	}
	if !wish.Present {
		wish = contact.ExpiresInURI()
	}
	if !wish.Present || !wish.Valid {
		return min(g.peer.DefaultExpiration, g.peer.MaximumExpiration), nil
	}
	const hour = 3600
	if minimum := g.peer.MinimumExpiration; wish.Seconds > 0 && wish.Seconds < hour && wish.Seconds < minimum {
		response := g.request.Respond(423, "Interval Too Brief").
			With("Min-Expires", strconv.FormatUint(uint64(minimum), 10))
		return 0, g.EndWith(response, journal.ExpiryTooBrief, fmt.Sprintf("%d; the minimum is %d", wish.Seconds, minimum))
	}
	return min(wish.Seconds, g.peer.MaximumExpiration), nil
}

// shortenAll grants less time than is asked for, as far as phones are to come again at
// different times, but not less than the minimum (§10.3 step 7).
func (g *registration) shortenAll() {
	if g.shorten == nil {
		return
	}
	part := g.shorten(g.now)
	for i := range g.asked {
		expires := &g.asked[i].binding.Expires
		asked := expires.Sub(g.now)
		granted := (asked - time.Duration(part*float64(asked))).Truncate(time.Second)
		*expires = g.now.Add(max(granted, min(asked, time.Duration(g.peer.MinimumExpiration)*time.Second)))
	}
}

// maxUserAgent bounds what is kept of a User-Agent with each binding, in bytes.
const maxUserAgent = 128

func (g *registration) binding(contact *message.Contact, seconds uint32) location.Binding {
	stream, nat := g.streamOfPhone(), g.isBehindNAT(contact)
	return location.Binding{
		Contact:   contact.Text,
		Params:    g.paramsOf(contact),
		Q:         contact.Q,
		CallID:    g.request.CallID,
		CSeq:      g.request.CSeq.Number,
		Expires:   g.now.Add(time.Duration(seconds) * time.Second),
		Changed:   g.now,
		Domain:    g.domain,
		Authname:  g.peer.Authname,
		Label:     g.peer.Label,
		UserAgent: g.request.UserAgent[:min(len(g.request.UserAgent), maxUserAgent)],
		Transport: g.request.Flow.Transport,
		Source:    g.request.Flow.Source,
		Local:     g.request.Flow.Local,
		Stream:    stream,
		Path:      g.pathTo(stream, nat),
		NAT:       nat,
		Node:      g.others.Node,
	}
}

// streamOfPhone returns the connection that the phone itself has opened: what came by
// a proxy comes by another one next time.
func (g *registration) streamOfPhone() uint64 {
	if len(g.request.Vias) > 1 {
		return 0
	}
	return g.request.Flow.Stream
}

// changes says what becomes of an AOR's bindings.
type changes struct {
	kept                                []location.Binding // untouched, the last changed last
	added, refreshed, removed, replaced []location.Binding
	moved                               []location.Binding // each another one of the same phone took the place of
}

// reset makes room for those of another request.
func (c *changes) reset() {
	*c = changes{c.kept[:0], c.added[:0], c.refreshed[:0], c.removed[:0], c.replaced[:0], c.moved[:0]}
}

// planUpdates compares what is asked with what is there: the bindings of the same
// phone are looked for, and are updated or removed if the request is newer than
// them; if there are none, one is added. There may be several, as equality of URIs is
// not transitive: the first is updated and the others go. What one Contact has taken
// is not there for the next.
func (g *registration) planUpdates(current []location.Binding) *refusal {
	var space [8]bool
	taken := append(space[:0], make([]bool, len(current))...)
	for i := range g.asked {
		if refused := g.updateOne(current, taken, &g.asked[i]); refused != nil {
			return refused
		}
	}
	for i := range current {
		if !taken[i] {
			g.changes.kept = append(g.changes.kept, current[i])
		}
	}
	return g.makeRoom(&g.changes)
}

// updateOne takes the bindings that a Contact asks for, and adds what becomes of
// them and it.
func (g *registration) updateOne(current []location.Binding, taken []bool, wanted *asked) *refusal {
	c := &g.changes
	found := false
	for i := range current {
		if taken[i] || !g.isOf(wanted, &current[i]) {
			continue
		}
		if refused := g.checkNewer(&current[i]); refused != nil {
			return refused
		}
		taken[i] = true
		switch {
		case wanted.remove:
			c.removed = append(c.removed, current[i])
		case found || !wanted.names(&current[i]):
			c.moved = append(c.moved, current[i])
		default:
			wanted.binding.ID = current[i].ID
			c.refreshed = append(c.refreshed, wanted.binding)
			found = true
		}
	}
	if !found && !wanted.remove {
		c.added = append(c.added, wanted.binding)
	}
	return nil
}

// names tells whether the Contact is that of the binding (§19.1.4).
func (a *asked) names(b *location.Binding) bool {
	return a.binding.Contact == b.Contact || b.IsTo(&a.uri) // the first as a rule
}

// refusal is why a request is refused once its AOR's bindings are known.
type refusal struct {
	response *message.Response
	reason   journal.Reason
	detail   string
	contact  string // of the binding that stands in the way
}

// checkNewer sees to it that the request is newer than the one that last changed
// the binding: of another Call-ID, or of a higher CSeq. If not, the request fails
// and nothing is changed, unless the peer may count anew.
func (g *registration) checkNewer(b *location.Binding) *refusal {
	if b.CallID != g.request.CallID || b.CSeq < g.request.CSeq.Number {
		return nil
	}
	detail := "last was " + strconv.FormatUint(uint64(b.CSeq), 10)
	if g.peer.CSeqReset {
		hindrance := g.hindersReset(b)
		if hindrance == "" {
			return nil
		}
		detail += "; cseq_reset = yes, but " + hindrance
	}
	return &refusal{g.request.Respond(500, "Request Out Of Order"), journal.CSeqNotRising,
		detail, strings.Clone(b.Contact)}
}

// retransmitting is how long a request may be sent again (Timer F, §17.1.2.2).
const retransmitting = 32 * time.Second

// hindersReset says why a request that is not newer than the binding cannot be that of
// a phone that counts anew, which the RFC knows no phone to do: the request that made
// the binding may still be under way, or somebody may have kept this one, as its
// challenge is older. Where a certificate has proved the peer there was no challenge,
// and TLS lets nobody send again what was kept. Empty: nothing hinders it.
func (g *registration) hindersReset(b *location.Binding) string {
	switch since := g.now.Sub(b.Changed); {
	case since <= retransmitting:
		return "that was no more than 32 s ago"
	case g.nonce == "":
		return ""
	case since <= g.authenticator.Age(g.now, g.nonce):
		return "the challenge that the phone answers is older"
	}
	return ""
}

var errRefused = errors.New("the request was refused")

// changeBy returns a change that has plan work out the changes.
func (g *registration) changeBy(plan func(g *registration, current []location.Binding) *refusal) change {
	return func(current []location.Binding) ([]location.Binding, error) {
		g.beginChange(current)
		if g.refused = g.checkStillAuthorized(); g.refused == nil {
			g.refused = plan(g, current)
		}
		if g.refused != nil {
			return nil, errRefused
		}
		g.changes.own()
		g.next = g.changes.appendInOrder(g.next)
		return g.next, nil
	}
}

// leave is a change that only looks at the bindings.
func (g *registration) leave(current []location.Binding) ([]location.Binding, error) {
	g.beginChange(current)
	g.changes.kept = append(g.changes.kept, current...)
	g.changes.own()
	g.next = g.changes.appendInOrder(g.next)
	return g.next, nil
}

// beginChange forgets what an earlier run has worked out, which another node was quicker
// than.
func (g *registration) beginChange(current []location.Binding) {
	g.changes.reset()
	g.next = g.next[:0]
	for i := range g.asked {
		g.asked[i].binding.ID = 0
	}
	g.lookForTwin(current)
}

// commit makes a change to the AOR's bindings, all of it or nothing. It is taken
// down before anything else can happen to the AOR.
func (g *registration) commit(change change) *message.Response {
	err := g.store(change)
	if end := g.checkReplay(err); end != nil {
		return end
	}
	switch {
	case err == nil:
	case g.refused != nil:
		return g.endOf(g.refused)
	default: // all changes are undone
		return g.EndWith(g.notStored(g.request), journal.StoreFailed, err.Error())
	}
	g.bindings = append(append(g.bindings, g.changes.refreshed...), g.changes.added...)
	g.list(g.changes.kept)
	return nil
}

// Step 3, as far as the store alone can tell: whether another node has seen what has
// proved the request. err is what came of the change.
func (g *registration) checkReplay(err error) *message.Response {
	if !g.provesLater {
		return nil
	}
	if errors.Is(err, location.ErrReplayed) {
		g.claimed = true
		return g.challengeAgain(g.domains.Realm(g.domain), journal.Replay, "another node may have seen it before")
	}
	g.claimed = err == nil
	g.tellProved()
	return nil
}

// own keeps what was bound before beyond the moment in which it may be looked at.
func (c *changes) own() {
	for _, bindings := range [...][]location.Binding{c.kept, c.removed, c.replaced, c.moved} {
		location.Own(bindings)
	}
}

// appendInOrder appends the list to store, the last changed last.
func (c *changes) appendInOrder(list []location.Binding) []location.Binding {
	list = append(list, c.kept...)
	list = append(list, c.refreshed...)
	return append(list, c.added...)
}

// list adds bindings to the answer: the peer's own, then those of others. The
// RFC asks for no order; phones look for their own.
func (g *registration) list(bindings []location.Binding) {
	for _, own := range [...]bool{true, false} {
		for i := range bindings {
			if (bindings[i].Authname == g.peer.Authname) == own {
				g.bindings = append(g.bindings, bindings[i])
			}
		}
	}
}

// checkStillAuthorized sees to it that a reload of peers.conf since step 3
// does not let in what it has taken away.
func (g *registration) checkStillAuthorized() *refusal {
	directory := g.directory.Load()
	if directory == g.snapshot {
		return nil
	}
	lost := directory.WhatEnds(g.snapshot, g.domain, g.peer.Authname, g.aor)
	if lost == "" {
		return nil
	}
	return &refusal{g.request.Respond(403, "Forbidden"), journal.ByConfiguration, lost, ""}
}

// appendContact appends a binding as a value of Contact.
func appendContact(text []byte, b *location.Binding, now time.Time) []byte {
	text = append(append(append(text, '<'), b.Contact...), '>')
	if b.Q != "" {
		text = append(append(text, ";q="...), b.Q...)
	}
	text = strconv.AppendInt(append(text, ";expires="...), b.Remaining(now), 10)
	return append(text, b.Params...)
}
