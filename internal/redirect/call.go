package redirect

import (
	"fmt"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
)

// call is a request for a phone on its way through the steps.
type call struct {
	registrar.Authentication
	server  *Server
	request *message.Request
	now     time.Time

	permitted bool     // the caller need prove nothing
	caller    standing // in all the addresses-of-record that were looked up
	aor       sipuri.AOR
	bindings  []location.Binding // of it
	stale     bool               // they are not known for sure
}

// answer carries out the steps. Each returns nil to go on, or the response that ends the
// request. Until the caller has proved who he is, nothing depends on whom he calls.
func (c *call) answer() *message.Response {
	if end := c.CheckDomain(); end != nil {
		return end
	}
	if end := c.checkCaller(); end != nil {
		return end
	}
	c.lookUp()
	c.About(c.aor)
	if end := c.checkRegistered(); end != nil {
		return end
	}
	response := c.redirect()
	// A retransmission is to get the same response. Who has proved nothing over UDP may not
	// be there: what goes there is answered anew each time, not sent again by Timer G.
	response.Keep, response.Vouched = c.isReached(), !c.isReached()
	return response
}

// isReached tells whether the caller is surely where the request seems to come from.
func (c *call) isReached() bool { return !c.permitted || c.request.Flow.Reliable() }

// checkCaller lets peers call, and those whose addresses are permitted. A UAS asks for
// credentials by 401 (§22.2), a redirect server too.
func (c *call) checkCaller() *message.Response {
	if c.permitted = peers.Within(c.server.permit, c.request.Flow.Source.Addr()); c.permitted {
		return nil
	}
	if end := c.AuthenticateHere(); end != nil {
		return end
	}
	return c.CheckPeer()
}

// checkRegistered lets those peers call that are registered.
func (c *call) checkRegistered() *message.Response {
	switch {
	case c.permitted || c.caller.bound:
		return nil
	case c.caller.stale:
		return c.EndUnknown()
	}
	return c.End(403, "Register First", journal.CallerNotRegistered, journal.CallBy+c.request.Method)
}

// redirect tells where the phones of the address-of-record are that the Request-URI names.
func (c *call) redirect() *message.Response {
	if c.request.URI.Scheme == "sips" && !c.request.Flow.Secure() { // §26.2.2
		return c.End(403, "SIPS Needs TLS", journal.SIPSWithoutTLS, "the Request-URI is "+c.request.URIText)
	}
	targets, left := c.targets(c.bindings)
	switch {
	case len(targets) > 0:
		return c.moved(targets)
	case !c.isGRUU(): // that leads to one phone and to nothing else
		if uri := c.standIn(); uri != "" {
			return c.movedTo(uri)
		}
	}
	switch {
	case c.stale:
		return c.EndUnknown()
	case len(c.bindings) == 0 && !c.Peers().HasAOR(c.aor):
		return c.End(404, "Not Found", journal.NoSuchAOR, journal.CallBy+c.request.Method)
	}
	return c.End(480, "Temporarily Unavailable", journal.NotRegistered, journal.CallBy+c.request.Method+left)
}

func (c *call) isGRUU() bool {
	_, is := c.request.URI.Param("gr")
	return is
}

// standIn returns the address that the peer has for while nothing is registered, empty: none,
// or none but that which was called.
func (c *call) standIn() string {
	name, host := c.Peers().StandIn(c.aor)
	if host == "" {
		return ""
	}
	text := append([]byte(c.request.URI.Scheme), ':')
	text = append(append(sipuri.AppendEscapedUser(text, name), '@'), host...)
	if uri, err := sipuri.Parse(string(text)); err != nil || uri.Equal(c.request.URI) {
		return ""
	}
	return string(text)
}

// moved redirects to bindings.
func (c *call) moved(targets []location.Binding) *message.Response {
	response := c.request.Respond(302, "Moved Temporarily")
	var space [512]byte
	for i := range targets {
		response.WithBytes("Contact", appendContact(space[:0], &targets[i], c.now))
	}
	contacts := "a Contact"
	if len(targets) > 1 {
		contacts = fmt.Sprintf("%d Contacts", len(targets))
	}
	c.record(targets[0].Contact, "to "+contacts)
	return response
}

// movedTo redirects to the address that stands in.
func (c *call) movedTo(uri string) *message.Response {
	c.record(uri, "to defaulthost, as nothing is registered")
	return c.request.Respond(302, "Moved Temporarily").With("Contact", "<"+uri+">")
}

func (c *call) record(contact, detail string) {
	event := c.Event(journal.Redirected, journal.None)
	event.Contact, event.Detail = contact, journal.CallBy+c.request.Method+" "+detail
	c.server.journal.Record(event)
}
