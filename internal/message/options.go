package message

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"sipregd/internal/sipuri"
)

// Options is an OPTIONS that asks the phone of a binding whether it is there (RFC 3261
// §11.1). It belongs to no dialog.
type Options struct {
	Contact string // of the binding, a URI
	Route   string // values of Route in order, with commas; empty: none
	Flow    Flow   // by which the phone is reached
	Branch  string // behind the cookie; a token that nobody guesses
	Tag     string // of From, a token
	CallID  string // its part before the "@", a token
}

// ErrNoRequestURI says that a Contact cannot be asked: it is none of sip: or sips:, or
// it would break the request.
var ErrNoRequestURI = errors.New("the Contact cannot stand in a request")

// Append appends the request to room (§8.1.1). Its From is the registrar, at the
// address that the phone knows it by: from the address-of-record the phone would seem
// to be asked by itself. To names the phone and no address-of-record, as the Contact
// is what is asked about. The texts of a binding come from the network: what would end
// a line is no part of one.
func (o *Options) Append(room []byte) ([]byte, error) {
	uri, err := sipuri.Parse(o.Contact)
	if err != nil || !uri.IsSIP() || breaks(o.Contact, " <>") || breaks(o.Route, "") {
		return room, ErrNoRequestURI
	}
	target, own := uri.Request(o.Contact), sentBy(o.Flow.Local)
	text := append(append(append(room, "OPTIONS "...), target...), " SIP/2.0\r\n"...)
	text = append(append(text, "Via: SIP/2.0/"...), o.Flow.Transport...)
	text = append(append(append(text, ' '), own...), ";rport;branch="...)
	text = append(append(append(text, Cookie...), o.Branch...), "\r\n"...)
	if o.Route != "" { // in the place of a Path (RFC 3327 §5.5)
		text = appendHeader(text, "Route", o.Route)
	}
	text = appendHeader(text, "Max-Forwards", "70")
	text = append(append(append(text, "From: <sip:sipregd@"...), own...), ">;tag="...)
	text = append(append(text, o.Tag...), "\r\nTo: <"...)
	text = append(append(text, target...), ">\r\nCall-ID: "...)
	text = append(append(append(append(text, o.CallID...), '@'), own...), "\r\nCSeq: 1 OPTIONS\r\nContact: <sip:sipregd@"...)
	text = append(text, own...)
	if name := transportParam(o.Flow.Transport); name != "" {
		text = append(append(text, ";transport="...), name...)
	}
	return append(text, ">\r\nAccept: application/sdp\r\nContent-Length: 0\r\n\r\n"...), nil
}

// transportParam returns what a URI has as its transport, empty for UDP. There is no
// "wss" (RFC 7118 §5.2.3).
func transportParam(transport string) string {
	switch transport {
	case "UDP":
		return ""
	case "WSS":
		return "ws"
	}
	return strings.ToLower(transport)
}

// breaks tells whether text holds a control character or one of others.
func breaks(text, others string) bool { return !isPrinting(text) || strings.ContainsAny(text, others) }

// sentBy returns the address as it stands in a Via or a URI: IPv6 in brackets.
func sentBy(address netip.AddrPort) string {
	plain := address.Addr().Unmap().WithZone("")
	if plain.Is6() {
		return "[" + plain.String() + "]:" + strconv.Itoa(int(address.Port()))
	}
	return plain.String() + ":" + strconv.Itoa(int(address.Port()))
}
