package registrar

import (
	"errors"
	"fmt"
	"slices"
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

func (g *registration) findBindings() {
	g.bindings = g.ownFirst(g.location.Bindings(g.aor, g.now))
	g.journal.Record(g.event(journal.Listed, ""))
}

// Step 6. "*" removes all bindings, and has to stand with an Expires of 0. Of
// the same Call-ID each has to have a lower CSeq, or none is removed.
func (g *registration) removeAllForWildcard() *message.Response {
	if !g.request.Contacts.Star {
		return nil
	}
	if asked := g.request.Expires; !asked.Present || !asked.Valid || asked.Seconds != 0 {
		return g.end(400, "Contact * Needs Expires 0", journal.WildcardMisused, "")
	}
	return g.commit(func(current []location.Binding) (changes, *refusal) {
		for i := range current {
			if refused := g.checkNewer(&current[i]); refused != nil {
				return changes{}, refused
			}
		}
		return changes{removed: current}, nil
	})
}

// Step 7, for the Contacts of the request together.
func (g *registration) updateEach() *message.Response {
	if g.request.Contacts.Star {
		return nil
	}
	asked, end := g.askedBindings()
	if end != nil {
		return end
	}
	return g.commit(func(current []location.Binding) (changes, *refusal) {
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
		return 0, g.endWith(response, journal.ExpiryTooBrief, fmt.Sprintf("%d; the minimum is %d", wish.Seconds, minimum))
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

// update compares what is asked with what is there: the bindings of an equal
// URI are looked for, and are updated or removed if the request is newer than
// them; if there are none, one is added. Since equality of URIs is not
// transitive, several may be equal to one that is asked: the first is updated
// and the others go. What one Contact has taken is not there for the next.
func (g *registration) update(current []location.Binding, list []asked) (changes, *refusal) {
	var c changes
	taken := make([]bool, len(current))
	for i := range list {
		equal, refused := g.takeEqual(current, taken, &list[i])
		if refused != nil {
			return changes{}, refused
		}
		c.apply(&list[i], equal)
	}
	for i := range current {
		if !taken[i] {
			c.kept = append(c.kept, current[i])
		}
	}
	return c, g.makeRoom(&c)
}

// takeEqual takes the bindings that a Contact asks for.
func (g *registration) takeEqual(current []location.Binding, taken []bool, wanted *asked) ([]location.Binding, *refusal) {
	var equal []location.Binding
	for i := range current {
		if taken[i] || !wanted.names(&current[i]) {
			continue
		}
		if refused := g.checkNewer(&current[i]); refused != nil {
			return nil, refused
		}
		taken[i] = true
		equal = append(equal, current[i])
	}
	return equal, nil
}

// apply adds what becomes of a Contact and the bindings that are equal to it.
func (c *changes) apply(wanted *asked, equal []location.Binding) {
	switch {
	case wanted.remove:
		c.removed = append(c.removed, equal...)
	case len(equal) == 0:
		c.added = append(c.added, wanted.binding)
	default:
		wanted.binding.ID = equal[0].ID
		c.refreshed = append(c.refreshed, wanted.binding)
		c.replaced = append(c.replaced, equal[1:]...)
	}
}

// names tells whether the Contact asks for that binding (§19.1.4).
func (a *asked) names(b *location.Binding) bool {
	if a.binding.Contact == b.Contact { // as a rule
		return true
	}
	uri, err := sipuri.Parse(b.Contact)
	return err == nil && uri.Equal(a.uri)
}

// refusal is why a request is refused once its AOR's bindings are known.
type refusal struct {
	response *message.Response
	reason   journal.Reason
	detail   string
}

// checkNewer sees to it that the request is newer than the one that last changed
// the binding: of another Call-ID, or of a higher CSeq. If not, the request fails
// and nothing is changed.
func (g *registration) checkNewer(b *location.Binding) *refusal {
	if b.CallID != g.request.CallID || b.CSeq < g.request.CSeq.Number {
		return nil
	}
	return &refusal{message.NewResponse(500, "Request Out Of Order"), journal.CSeqNotRising,
		"last was " + strconv.FormatUint(uint64(b.CSeq), 10)}
}

// makeRoom keeps the number of bindings within the peer's limit, which is not in
// the RFC: those that were changed longest ago go, or the request is refused.
func (g *registration) makeRoom(c *changes) *refusal {
	own := len(c.added) + len(c.refreshed)
	excess := own + len(c.kept) - g.peer.MaxContacts
	if excess <= 0 || len(c.added) == 0 {
		return nil
	}
	if !g.peer.RemoveExisting || own > g.peer.MaxContacts {
		return &refusal{message.NewResponse(403, "Too Many Contacts"), journal.TooManyContacts,
			"max_contacts is " + strconv.Itoa(g.peer.MaxContacts)}
	}
	c.replaced, c.kept = append(c.replaced, c.kept[:excess]...), c.kept[excess:]
	return nil
}

var errRefused = errors.New("the request was refused")

// commit lets decide work out the changes to the AOR's bindings and stores
// them, all or none. Events are taken down when nobody is held up by it.
func (g *registration) commit(decide func(current []location.Binding) (changes, *refusal)) *message.Response {
	var refused *refusal
	var c changes
	err := g.location.Update(g.aor, g.now, func(current []location.Binding) ([]location.Binding, error) {
		if refused = g.checkStillAuthorized(); refused == nil {
			c, refused = decide(current)
		}
		if refused != nil {
			return nil, errRefused
		}
		return inOrderOfChange(c), nil
	})
	switch {
	case refused != nil:
		return g.endWith(refused.response, refused.reason, refused.detail)
	case err != nil: // all changes are undone
		return g.endWith(notStored(), journal.StoreFailed, err.Error())
	}
	g.bindings = slices.Concat(c.refreshed, c.added, g.ownFirst(c.kept))
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

// ownFirst sorts bindings for the answer: the peer's own, then those of others.
// The RFC asks for no order; phones look for their own.
func (g *registration) ownFirst(bindings []location.Binding) []location.Binding {
	list := make([]location.Binding, 0, len(bindings))
	for _, own := range [...]bool{true, false} {
		for i := range bindings {
			if (bindings[i].Authname == g.peer.Authname) == own {
				list = append(list, bindings[i])
			}
		}
	}
	return list
}

// checkStillAuthorized sees to it that a reload of peers.conf since step 3
// does not let in what it has taken away.
func (g *registration) checkStillAuthorized() *refusal {
	directory := g.directory.Load()
	if directory == g.snapshot || directory.StillBinds(g.snapshot, g.domain, g.peer.Authname, g.aor) {
		return nil
	}
	return &refusal{message.NewResponse(403, "Forbidden"), journal.ByConfiguration, ""}
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
