package message

import (
	"strings"

	"sipregd/internal/sipuri"
)

// Event is the value of the Event header field (RFC 6665 §8.2.1).
type Event struct {
	Package string // empty: there is no such header field
	ID      string // of the parameter id, empty: none
}

// isOfSubscription tells whether a header field is read of a SUBSCRIBE.
func isOfSubscription(name string) bool {
	return strings.EqualFold(name, "Event") || strings.EqualFold(name, "o") || strings.EqualFold(name, "Accept") ||
		strings.EqualFold(name, "Record-Route")
}

// takeSubscription takes a header field of a SUBSCRIBE, folded lines joined.
func (r *Request) takeSubscription(name, value string) error {
	switch {
	case strings.EqualFold(name, "Accept"):
		r.Accept = joinedBy(r.Accept, value)
		return nil
	case strings.EqualFold(name, "Record-Route"):
		return r.takeRecordRoute(value)
	}
	event, err := parseEvent(value)
	if err != nil {
		return err
	}
	return once(&r.Event, event, r.Event.Package != "", "Event")
}

// parseEvent reads event-type *( SEMI event-param ).
func parseEvent(text string) (Event, error) {
	c := cursor{text: text}
	c.blank()
	event := Event{Package: c.token()}
	p := params{}
	for p.next(&c) {
		if !p.is("id") {
			continue
		}
		if event.ID != "" || p.value == "" || !isAllToken(p.value) || len(p.value) > MaxCallID {
			return Event{}, malformed("Malformed Event")
		}
		event.ID = p.value
	}
	if c.blank(); p.err != nil || event.Package == "" || !c.done() {
		return Event{}, malformed("Malformed Event")
	}
	return event, nil
}

// takeRecordRoute joins Record-Route header fields, which have the grammar of Path.
func (r *Request) takeRecordRoute(text string) error {
	route, err := parsePath(text)
	if err != nil {
		return malformed("Malformed Record-Route")
	}
	joined := joinedBy(r.RecordRoute, route.Text)
	if len(joined) > MaxPath {
		return malformed("Record-Route Over 1024 Bytes")
	}
	r.RecordRoute = joined
	return nil
}

func joinedBy(list, more string) string {
	if list == "" {
		return more
	}
	return list + ", " + more
}

// Accepts tells whether the sender of a request takes a body of that type, type/subtype
// in lower case (RFC 3261 §20.1). It takes what the event package says where it has no
// Accept (RFC 6665 §4.2.1.1).
func (r *Request) Accepts(mediaType string) bool {
	if r.Accept == "" {
		return true
	}
	kind, _, _ := strings.Cut(mediaType, "/")
	for value := range strings.SplitSeq(r.Accept, ",") {
		accepted, _, _ := strings.Cut(value, ";")
		accepted = strings.ToLower(strings.NewReplacer(" ", "", "\t", "").Replace(accepted))
		if accepted == mediaType || accepted == kind+"/*" || accepted == "*/*" {
			return true
		}
	}
	return false
}

// FirstRoute returns the URI of the first of values as Request.RecordRoute has them, and
// whether there is one.
func FirstRoute(routes string) (first sipuri.URI, found bool) {
	if routes == "" {
		return first, false
	}
	c := cursor{text: routes}
	text, err := c.nameAddr()
	return first, err == nil && first.Set(text) == nil
}
