package message

import (
	"strconv"

	"sipregd/internal/sipuri"
)

// Notify is a NOTIFY to who has subscribed to something (RFC 6665 §4.2.2), within the
// dialog that its SUBSCRIBE has made (RFC 3261 §12.2.1.1).
type Notify struct {
	Target string // the remote target, a URI
	Route  string // the route set: values with commas; empty: none
	From   string // the URI of To of the SUBSCRIBE
	Tag    string // that it got in the answer
	To     string // the URI of From of the SUBSCRIBE
	ToTag  string // of that; empty: none
	CallID string
	CSeq   uint32
	Event  Event
	State  string // of Subscription-State
	Flow   Flow   // by which it is sent
	Secure bool   // the dialog is by sips: URIs alone
	Branch string // behind the cookie; a token that nobody guesses
	Type   string // of the body; empty: there is none
	Body   []byte
}

// Append appends the request to room. The texts of a subscription come from the network:
// what would end a line is no part of one.
func (n *Notify) Append(room []byte) ([]byte, error) {
	uri, err := sipuri.Parse(n.Target)
	if err != nil || !uri.IsSIP() || breaks(n.Target, " <>") || breaks(n.From, " <>") || breaks(n.To, " <>") ||
		breaks(n.Route, "") || breaks(n.CallID, " ") || breaks(n.ToTag, " ;,") || breaks(n.Event.ID, " ;,") {
		return room, ErrNoRequestURI
	}
	own := sentBy(n.Flow.Local)
	text := append(append(append(room, "NOTIFY "...), uri.Request(n.Target)...), " SIP/2.0\r\n"...)
	text = append(append(append(text, "Via: SIP/2.0/"...), n.Flow.Transport...), ' ')
	text = append(append(append(text, own...), ";rport;branch="...), Cookie...)
	text = append(append(text, n.Branch...), "\r\n"...)
	if n.Route != "" {
		text = appendHeader(text, "Route", n.Route)
	}
	text = appendHeader(text, "Max-Forwards", "70")
	text = append(append(append(text, "From: <"...), n.From...), ">;tag="...)
	text = append(append(text, n.Tag...), "\r\nTo: <"...)
	text = append(append(text, n.To...), '>')
	if n.ToTag != "" {
		text = append(append(text, ";tag="...), n.ToTag...)
	}
	text = append(append(append(text, "\r\nCall-ID: "...), n.CallID...), "\r\nCSeq: "...)
	text = append(strconv.AppendUint(text, uint64(n.CSeq), 10), " NOTIFY\r\nContact: "...)
	text = append(append(text, ContactOf(n.Flow, n.Secure)...), "\r\nEvent: "...)
	text = append(text, n.Event.Package...)
	if n.Event.ID != "" {
		text = append(append(text, ";id="...), n.Event.ID...)
	}
	text = append(text, "\r\n"...)
	text = appendHeader(text, "Subscription-State", n.State)
	if n.Type != "" {
		text = appendHeader(text, "Content-Type", n.Type)
	}
	text = append(strconv.AppendInt(append(text, "Content-Length: "...), int64(len(n.Body)), 10), "\r\n\r\n"...)
	return append(text, n.Body...), nil
}

// ContactOf returns the value of Contact by which the registrar is reached over a flow, by
// a sips: URI where that has to be. It names nobody, so that a request to it is about what
// To says.
func ContactOf(flow Flow, secure bool) string {
	scheme, transport := "sip:", transportParam(flow.Transport)
	if secure {
		scheme = "sips:"
		if transport == "tls" { // which that says already (RFC 3261 §26.2.2)
			transport = ""
		}
	}
	contact := "<" + scheme + sentBy(flow.Local)
	if transport != "" {
		contact += ";transport=" + transport
	}
	return contact + ">"
}

// NeedsSIPS tells whether the dialog that a request makes has to be by sips: URIs alone
// (RFC 3261 §12.1.1).
func (r *Request) NeedsSIPS() bool {
	if r.URI.Scheme == "sips" {
		return true
	}
	if first, found := FirstRoute(r.RecordRoute); found {
		return first.Scheme == "sips"
	}
	return len(r.Contacts.Values) > 0 && r.Contacts.Values[0].URI.Scheme == "sips"
}
