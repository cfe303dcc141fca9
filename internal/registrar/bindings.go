package registrar

import (
	"errors"
	"strconv"
	"strings"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// Step 6. No Contact at all is a query. "*" removes every binding, and has to
// stand with an Expires of 0.
func (g *registration) removeAll() *message.Response {
	if !g.request.Contacts.Star {
		return nil
	}
	if asked := g.request.Expires; !asked.Present || !asked.Valid || asked.Seconds != 0 {
		return g.end(400, "Contact * Needs Expires 0", journal.WildcardMisused, "")
	}
	return g.commit(func(current []location.Binding) (changes, *message.Response) {
		for i := range current {
			if !g.mayChange(&current[i]) {
				return changes{}, g.cseqNotRising(&current[i])
			}
		}
		return changes{removed: current}, nil
	})
}

// Step 7, for the Contacts of the request together. A query changes nothing.
func (g *registration) updateEach() *message.Response {
	if g.request.Contacts.Star {
		return nil
	}
	asked, end := g.askedBindings()
	if end != nil {
		return end
	}
	return g.commit(func(current []location.Binding) (changes, *message.Response) {
		return g.update(current, asked)
	})
}

// asked is what the request wants of one Contact.
type asked struct {
	uri     sipuri.URI // of the Contact
	binding location.Binding
	remove  bool
}

// askedBindings works out the expiry of each Contact and makes its binding.
func (g *registration) askedBindings() ([]asked, *message.Response) {
	list := make([]asked, 0, len(g.request.Contacts.Values))
	for i := range g.request.Contacts.Values {
		contact := &g.request.Contacts.Values[i]
		seconds, end := g.expiration(contact)
		if end != nil {
			return nil, end
		}
		next := asked{contact.URI, g.binding(contact, seconds), seconds == 0}
		switch earlier := sameContact(list, contact); {
		case earlier == nil:
			list = append(list, next)
		case earlier.remove != next.remove || !earlier.binding.Expires.Equal(next.binding.Expires):
			return nil, g.end(400, "Contact Given Twice", journal.ContactGivenTwice, contact.Text)
		}
	}
	return list, nil
}

func sameContact(list []asked, contact *message.Contact) *asked {
	for i := range list {
		if list[i].uri.Equal(contact.URI) {
			return &list[i]
		}
	}
	return nil
}

// expiration returns the seconds that a Contact is granted, 0 to remove it:
// its parameter, else Expires, else the default; malformed counts as the
// default. 423 stands for less than the minimum and less than an hour only.
func (g *registration) expiration(contact *message.Contact) (uint32, *message.Response) {
	wish := contact.Expires
	if !wish.Present {
		wish = g.request.Expires
	}
	if !wish.Present || !wish.Valid {
		return min(g.peer.DefaultExpiration, g.peer.MaximumExpiration), nil
	}
	const hour = 3600
	if minimum := g.peer.MinimumExpiration; wish.Seconds > 0 && wish.Seconds < hour && wish.Seconds < minimum {
		response := message.NewResponse(423, "Interval Too Brief").
			With("Min-Expires", strconv.FormatUint(uint64(minimum), 10))
		return 0, g.endWith(response, journal.ExpiryTooBrief, strconv.FormatUint(uint64(wish.Seconds), 10))
	}
	return min(wish.Seconds, g.peer.MaximumExpiration), nil
}

// maxUserAgent bounds what is kept of a User-Agent with each binding, in bytes.
const maxUserAgent = 128

func (g *registration) binding(contact *message.Contact, seconds uint32) location.Binding {
	return location.Binding{
		Contact:   contact.Text,
		Params:    contact.Params,
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
	}
}

// changes says what becomes of an AOR's bindings.
type changes struct {
	kept                                []location.Binding // untouched, the last changed last
	added, refreshed, removed, replaced []location.Binding
}

// update compares what is asked with what is there.
func (g *registration) update(current []location.Binding, list []asked) (changes, *message.Response) {
	var c changes
	taken := make([]bool, len(current))
	for i := range list {
		known := find(current, &list[i])
		if known >= 0 {
			if !g.mayChange(&current[known]) {
				return changes{}, g.cseqNotRising(&current[known])
			}
			taken[known] = true
		}
		switch {
		case list[i].remove && known >= 0:
			c.removed = append(c.removed, current[known])
		case list[i].remove: // of what is not there: nothing
		case known >= 0:
			list[i].binding.ID = current[known].ID
			c.refreshed = append(c.refreshed, list[i].binding)
		default:
			c.added = append(c.added, list[i].binding)
		}
	}
	for i := range current {
		if !taken[i] {
			c.kept = append(c.kept, current[i])
		}
	}
	return c, g.makeRoom(&c)
}

// find looks for the binding of an equal URI (§19.1.4).
func find(current []location.Binding, wanted *asked) int {
	for i := range current {
		if current[i].Contact == wanted.binding.Contact { // as a rule
			return i
		}
	}
	for i := range current {
		if uri, err := sipuri.Parse(current[i].Contact); err == nil && uri.Equal(wanted.uri) {
			return i
		}
	}
	return -1
}

// mayChange tells whether the request is newer than the one that last changed
// the binding: of the same Call-ID just a higher CSeq is.
func (g *registration) mayChange(b *location.Binding) bool {
	return b.CallID != g.request.CallID || b.CSeq < g.request.CSeq.Number
}

func (g *registration) cseqNotRising(b *location.Binding) *message.Response {
	return g.end(500, "Request Out Of Order", journal.CSeqNotRising,
		"last was "+strconv.FormatUint(uint64(b.CSeq), 10))
}

// makeRoom keeps the number of bindings within the peer's limit: those that
// were changed longest ago go, or the request is refused.
func (g *registration) makeRoom(c *changes) *message.Response {
	own := len(c.added) + len(c.refreshed)
	excess := own + len(c.kept) - g.peer.MaxContacts
	if excess <= 0 || len(c.added) == 0 {
		return nil
	}
	if !g.peer.RemoveExisting || own > g.peer.MaxContacts {
		return g.end(403, "Too Many Contacts", journal.TooManyContacts,
			"max_contacts is "+strconv.Itoa(g.peer.MaxContacts))
	}
	c.replaced, c.kept = c.kept[:excess], c.kept[excess:]
	return nil
}

var errEnded = errors.New("the request was refused")

// commit lets decide work out the changes to the AOR's bindings and stores
// them, all or none. Events are taken down once they are stored.
func (g *registration) commit(decide func(current []location.Binding) (changes, *message.Response)) *message.Response {
	var end *message.Response
	var c changes
	err := g.location.Update(g.aor, g.now, func(current []location.Binding) ([]location.Binding, error) {
		if end = g.checkStillAuthorized(); end == nil {
			c, end = decide(current)
		}
		if end != nil {
			return nil, errEnded
		}
		g.bindings = g.ownFirst(c)
		return inOrderOfChange(c), nil
	})
	if end != nil {
		return end
	}
	if err != nil {
		return g.endWith(notStored(), journal.StoreFailed, err.Error())
	}
	g.recordChanges(&c)
	return nil
}

// inOrderOfChange returns the list to store, the last changed last.
func inOrderOfChange(c changes) []location.Binding {
	list := make([]location.Binding, 0, len(c.kept)+len(c.refreshed)+len(c.added))
	list = append(list, c.kept...)
	list = append(list, c.refreshed...)
	return append(list, c.added...)
}

// ownFirst returns the list to answer with: the Contacts of the request, then
// the peer's others, then those of other peers.
func (g *registration) ownFirst(c changes) []location.Binding {
	list := append(append([]location.Binding(nil), c.refreshed...), c.added...)
	for _, own := range [...]bool{true, false} {
		for i := range c.kept {
			if (c.kept[i].Authname == g.peer.Authname) == own {
				list = append(list, c.kept[i])
			}
		}
	}
	return list
}

// checkStillAuthorized sees to it that a reload of peers.conf since step 3
// does not let in what it has taken away.
func (g *registration) checkStillAuthorized() *message.Response {
	directory := g.directory.Load()
	if directory == g.snapshot || directory.StillBinds(g.snapshot, g.domain, g.peer.Authname, g.aor) {
		return nil
	}
	return g.end(403, "Forbidden", journal.ByConfiguration, "")
}

func (g *registration) recordChanges(c *changes) {
	for _, change := range [...]struct {
		kind     journal.Kind
		reason   journal.Reason
		bindings []location.Binding
	}{
		{journal.Removed, journal.ByPhone, c.removed},
		{journal.Replaced, journal.ByNewerContact, c.replaced},
		{journal.Refreshed, "", c.refreshed},
		{journal.Added, "", c.added},
	} {
		for i := range change.bindings {
			b := &change.bindings[i]
			event := bindingEvent(change.kind, change.reason, g.aor, b)
			if change.kind == journal.Added || change.kind == journal.Refreshed {
				event.Expires = b.Remaining(g.now)
			}
			g.journal.Record(event)
		}
	}
}

// contactValue writes a binding as a value of Contact.
func contactValue(b *location.Binding, now time.Time) string {
	var v strings.Builder
	v.WriteByte('<')
	v.WriteString(b.Contact)
	v.WriteByte('>')
	if b.Q != "" {
		v.WriteString(";q=")
		v.WriteString(b.Q)
	}
	v.WriteString(";expires=")
	v.WriteString(strconv.FormatInt(b.Remaining(now), 10))
	v.WriteString(b.Params)
	return v.String()
}
