package registrar

import (
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// Authentication is a request whose sender is to prove who he is (RFC 3261 §22): a
// REGISTER, or another one that is not answered to everybody. Its steps each return nil
// to go on, or the response that ends the request.
type Authentication struct {
	*Registrar
	request  *message.Request
	now      time.Time
	snapshot *peers.Directory // the peers, for all steps

	domain   string      // that the Request-URI names
	authname string      // as claimed
	peer     *peers.Peer // proved
	nonce    string      // of the challenge that was answered; empty: a certificate was shown instead
	reached  bool        // the sender is where the request seems to come from

	use         location.Use // of that nonce, where other nodes ask for it
	provesLater bool         // they may know that use already
	about       *sipuri.AOR  // that events name; nil: the sender's
}

// Authentication returns that of a request, of which nothing is known yet.
func (r *Registrar) Authentication(request *message.Request, now time.Time) Authentication {
	return Authentication{Registrar: r, request: request, now: now, snapshot: r.directory.Load()}
}

// Peers returns the peers by which the request is judged.
func (a *Authentication) Peers() *peers.Directory { return a.snapshot }

// Domain returns the domain that the Request-URI names, once CheckDomain has found it.
func (a *Authentication) Domain() string { return a.domain }

// Peer returns who has sent the request, nil: he has not proved that.
func (a *Authentication) Peer() *peers.Peer { return a.peer }

// About has events name that address-of-record from now on.
func (a *Authentication) About(aor sipuri.AOR) { a.about = &aor }

// CheckDomain ends what is for a domain that is not served. There is no proxy here to
// hand it to: 404.
func (a *Authentication) CheckDomain() *message.Response {
	if !a.request.URI.IsSIP() {
		return a.unsupportedScheme(a.request)
	}
	domain, served := a.domains.Match(a.request.URI.Host)
	if !served {
		return a.End(404, "Domain Not Served Here", journal.DomainNotServed, a.request.URI.Host)
	}
	a.domain = domain
	return nil
}

// InDomain has a request judged in a domain that Domain has returned for another one of
// its dialog, whose Request-URI is the Contact that was given there.
func (a *Authentication) InDomain(domain string) { a.domain = domain }

// CheckPeer ends what comes from a peer that has proved itself and may do nothing, or
// not from there.
func (a *Authentication) CheckPeer() *message.Response {
	if !a.peer.Enabled {
		return a.End(403, "Forbidden", journal.PeerDisabled, "")
	}
	if !a.peer.Permits(a.request.Flow.Source.Addr()) {
		return a.End(403, "Forbidden", journal.SourceNotPermitted, "permit is "+joined(a.peer.Permit))
	}
	return nil
}

// CheckBindingsKnown ends what can only wait while the bindings of the AOR that About has
// told cannot be read.
func (a *Authentication) CheckBindingsKnown() *message.Response {
	if a.about != nil && a.IsStaleOf(*a.about) {
		return a.EndUnknown()
	}
	return nil
}

// EndUnknown ends what depends on bindings that were found stale.
func (a *Authentication) EndUnknown() *message.Response {
	return a.EndWith(a.notStored(a.request), journal.StoreFailed, "what is bound is not known just now")
}

// End takes down why the request is refused and returns the response. Once a
// peer has proved who it is, a retransmission must get the same response.
func (a *Authentication) End(status int, phrase string, reason journal.Reason, detail string) *message.Response {
	return a.EndWith(a.request.Respond(status, phrase), reason, detail)
}

// EndWith does so with a response that has more in it.
func (a *Authentication) EndWith(response *message.Response, reason journal.Reason, detail string) *message.Response {
	return a.endOf(&refusal{response, reason, detail, ""})
}

func (a *Authentication) endOf(r *refusal) *message.Response {
	event := a.Event(journal.Refused, r.reason)
	event.Status, event.Detail, event.Contact = r.response.Status, r.detail, r.contact
	a.journal.Record(event)
	r.response.Keep = a.peer != nil
	return r.response
}

// Event says what is known of the request by now.
func (a *Authentication) Event(kind journal.Kind, reason journal.Reason) journal.Event {
	event := a.requestEvent(a.request)
	event.Time, event.Kind, event.Reason, event.Authname = a.now, kind, reason, a.authname
	if a.peer != nil {
		event.Label = a.peer.Label
	}
	if a.peer != nil || a.reached {
		event.Forgeable = false
	}
	if a.about != nil {
		event.AOR = *a.about
	}
	return event
}

// own returns the address-of-record that the sender of a request is, or acts for: that of
// To for a REGISTER (§10.2), else that of From.
func own(request *message.Request) *sipuri.URI {
	if request.Method == "REGISTER" {
		return &request.To.URI
	}
	return &request.From.URI
}
