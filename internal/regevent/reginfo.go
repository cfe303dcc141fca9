package regevent

import (
	"encoding/xml"
	"slices"
	"strconv"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
)

// mediaType is that of the documents (RFC 3680 §5).
const mediaType = "application/reginfo+xml"

// document is what a NOTIFY holds (RFC 3680 §5.1). The tags give the order of the schema.
type document struct {
	XMLName      xml.Name     `xml:"urn:ietf:params:xml:ns:reginfo reginfo"`
	Version      uint32       `xml:"version,attr"`
	State        string       `xml:"state,attr"` // full or partial
	Registration registration `xml:"registration"`
}

// registration is what is said of an address-of-record.
type registration struct {
	AOR      string    `xml:"aor,attr"`
	ID       string    `xml:"id,attr"`
	State    string    `xml:"state,attr"` // init, active or terminated
	Contacts []contact `xml:"contact"`
}

// contact is what is said of a binding.
type contact struct {
	ID      string         `xml:"id,attr"`
	State   string         `xml:"state,attr"` // active or terminated
	Event   event          `xml:"event,attr"`
	Expires int64          `xml:"expires,attr"` // seconds left
	Q       string         `xml:"q,attr,omitempty"`
	CallID  string         `xml:"callid,attr,omitempty"`
	CSeq    uint32         `xml:"cseq,attr"`
	URI     string         `xml:"uri"`
	Params  []unknownParam `xml:"unknown-param"`
}

// unknownParam is a parameter of a Contact that is none of RFC 3261.
type unknownParam struct {
	Name  string `xml:"name,attr"`
	Value string `xml:",chardata"`
}

// event is what has brought a binding into its state (RFC 3680 §4.7.1).
type event string

const (
	noEvent      event = ""
	registered   event = "registered"
	refreshed    event = "refreshed"
	shortened    event = "shortened"
	expired      event = "expired"
	withdrawn    event = "deactivated" // the phone may come back at once
	onProbation  event = "probation"   // later
	unregistered event = "unregistered"
	forbidden    event = "rejected" // not at all
)

func (e event) terminates() bool {
	switch e {
	case expired, withdrawn, onProbation, unregistered, forbidden:
		return true
	}
	return false
}

// eventOf returns what ended a binding, and noEvent where none has ended.
func eventOf(e *journal.Event) event {
	switch e.Kind {
	case journal.Expired:
		return expired
	case journal.Removed, journal.Replaced:
	default:
		return noEvent
	}
	switch {
	case e.Reason == journal.ByPhone, e.Reason == journal.ByItself:
		return unregistered
	case e.Reason == journal.ByNewerContact:
		return onProbation
	case e.Reason == journal.ByConfiguration && e.Detail != peers.PeerRekeyed:
		return forbidden
	}
	return withdrawn
}

// told is what a subscriber was told of a binding.
type told struct {
	id               uint64
	uri, callID, q   string
	cseq             uint32
	expires, changed time.Time
}

func toldOf(b *location.Binding) told {
	return told{b.ID, b.Contact, b.CallID, b.Q, b.CSeq, b.Expires, b.Changed}
}

// maxParams bounds the bytes of the parameters of a Contact that are passed on.
const maxParams = 1024

// activeOf returns what is said of a binding.
func activeOf(b *location.Binding, e event, now time.Time) contact {
	c := contact{
		ID: strconv.FormatUint(b.ID, 10), State: "active", Event: e, Expires: b.Remaining(now),
		Q: b.Q, CallID: b.CallID, CSeq: b.CSeq, URI: b.Contact,
	}
	if len(b.Params) <= maxParams {
		message.EachParam(b.Params, func(name, value string) { c.Params = append(c.Params, unknownParam{name, value}) })
	}
	return c
}

// terminated returns what is said of a binding that is no more.
func (t *told) terminated(e event) contact {
	return contact{
		ID: strconv.FormatUint(t.id, 10), State: "terminated", Event: e,
		Q: t.q, CallID: t.callID, CSeq: t.cseq, URI: t.uri,
	}
}

// changeOf returns what has become of a binding since a subscriber was told of it; noEvent:
// nothing.
func (t *told) changeOf(b *location.Binding) event {
	switch {
	case b.CallID != t.callID || b.CSeq != t.cseq:
		return refreshed
	case isSame(b.Changed, t.changed) && isSame(b.Expires, t.expires):
		return noEvent
	case b.Expires.Before(t.expires) && !b.Changed.After(t.changed): // the clock went back
		return shortened
	}
	return refreshed
}

// isSame tells whether two times of a binding may be one.
func isSame(a, b time.Time) bool { return a.Sub(b).Abs() < sameTime }

// difference returns what is to be said of bindings to who was told of others before: in
// full of all of them, else of those alone that have changed. why says what ended one.
func difference(before []told, bindings []location.Binding, full bool, why func(*told) event, now time.Time) (contacts []contact) {
	for i := range bindings {
		b, e := &bindings[i], registered
		if at := slices.IndexFunc(before, func(t told) bool { return t.id == b.ID }); at >= 0 {
			e = before[at].changeOf(b)
		}
		if e == noEvent && full {
			e = registered
		}
		if e != noEvent {
			contacts = append(contacts, activeOf(b, e, now))
		}
	}
	for i := range before {
		t := &before[i]
		if !slices.ContainsFunc(bindings, func(b location.Binding) bool { return b.ID == t.id }) {
			contacts = append(contacts, t.terminated(why(t)))
		}
	}
	return contacts
}

// stateOf returns that of a registration (RFC 3680 §4.7.1): init where nothing is bound,
// but terminated as long as its last bindings are told of that have gone.
func stateOf(bindings []location.Binding, contacts []contact) string {
	switch {
	case len(bindings) > 0:
		return "active"
	case len(contacts) > 0:
		return "terminated"
	}
	return "init"
}

// encode writes the document out.
func (d *document) encode() []byte {
	body, err := xml.Marshal(d)
	if err != nil {
		panic(err) // it holds nothing that cannot be written
	}
	return append([]byte(xml.Header), body...)
}
