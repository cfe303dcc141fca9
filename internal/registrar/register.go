package registrar

import (
	"fmt"
	"strings"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// registration is a REGISTER on its way through the steps. Each step fills in
// what the next ones need.
type registration struct {
	Authentication // steps 1 and 3

	aor      sipuri.AOR         // of To, for steps 4 to 8
	served   bool               // the AOR's domain is served here, for step 5
	asked    []asked            // step 7, of each Contact
	changes  changes            // steps 6 and 7
	refused  *refusal           // steps 6 and 7: instead of changes
	claimed  bool               // the store knows what has proved the request
	next     []location.Binding // steps 6 and 7: what is to be stored
	bindings []location.Binding // steps 6 and 7: as they are now, the request's own first

	// The two ways to change bindings and what follows, as functions that are made
	// once.
	removeAll, update change
	unchanged         change // looks at the bindings
	made              func(expired []location.Binding)
}

// change shows Location.Update what becomes of an AOR's bindings.
type change func(current []location.Binding) ([]location.Binding, error)

func newRegistration(r *Registrar) *registration {
	g := &registration{}
	g.Registrar = r
	g.removeAll = g.changeBy((*registration).planRemovalOfAll)
	g.update = g.changeBy((*registration).planUpdates)
	g.unchanged = g.leave
	g.made = g.takeDown
	return g
}

// reset makes a registration of another request where one was.
func (g *registration) reset(request *message.Request, now time.Time) {
	g.Authentication = g.Registrar.Authentication(request, now)
	g.aor, g.served, g.refused, g.claimed = sipuri.AOR{}, false, nil, false
	g.asked, g.next, g.bindings = g.asked[:0], g.next[:0], g.bindings[:0]
	g.changes.reset()
}

func (r *Registrar) register(request *message.Request, now time.Time) *message.Response {
	g := r.registrations.Get().(*registration)
	defer r.registrations.Put(g)
	g.reset(request, now)
	response := g.answer()
	g.claimRefused(response)
	return response
}

// answer carries out RFC 3261 §10.3. Each step returns nil to go on, or the
// response that ends the request.
func (g *registration) answer() *message.Response {
	// 1. The registrar inspects the Request-URI to determine whether it has
	// access to bindings for the domain identified there.
	if end := g.CheckDomain(); end != nil {
		return end
	}
	// 2. It processes the Require header field values as described for UASs.
	if end := g.checkExtensions(); end != nil {
		return end
	}
	// 3. It authenticates the UAC. Where nodes share the bindings, the store tells
	// with steps 6 and 7 whether another node has seen the nonce: checkReplay.
	if end := g.Authenticate(); end != nil {
		return end
	}
	// 4. It determines if the authenticated peer is authorized to modify
	// registrations for this address-of-record: if not, 403 and nothing more.
	if end := g.authorize(); end != nil {
		return end
	}
	// 5. It extracts the address-of-record from To: not valid for the domain,
	// 404. Its canonical form is the index into the list of bindings.
	if end := g.checkAOR(); end != nil {
		return end
	}
	// 6. It checks whether there is a Contact: if not, it skips to the last
	// step. "*" removes all bindings.
	if g.isQuery() {
		if end := g.findBindings(); end != nil {
			return end
		}
		return g.listBindings()
	}
	if end := g.removeAllForWildcard(); end != nil {
		return end
	}
	// 7. It processes each contact address in turn: all take effect, or none.
	if end := g.updateEach(); end != nil {
		return end
	}
	// 8. It returns 200 with all current bindings.
	return g.listBindings()
}

// Step 2, and with it what a UAS checks before it processes (§8.2.2.3, §8.2.3).
func (g *registration) checkExtensions() *message.Response {
	if tags := unsupported(g.request); tags != "" {
		return g.unsupportedExtension(g.request, tags)
	}
	if g.request.HasBody && !g.request.BodyForgiven {
		response := g.request.Respond(415, "Unsupported Media Type").
			With("Accept", ""). // no body is understood
			With("Accept-Encoding", "identity")
		return g.refuse(g.request, response, journal.BodyNotUnderstood, "")
	}
	return nil
}

// Step 4. It needs the canonical address-of-record that step 5 speaks of, whose
// validity counts there. Whoever From names may act for others (third-party
// registration) where the peer lists the AOR. enabled and permit are not in the
// RFC.
func (g *registration) authorize() *message.Response {
	if end := g.CheckPeer(); end != nil {
		return end
	}
	if !g.isSecureEnough(&g.request.URI) {
		return g.End(403, "SIPS Needs TLS", journal.SIPSWithoutTLS, "the Request-URI is "+g.request.URIText)
	}
	if !g.request.To.URI.IsSIP() {
		return nil
	}
	g.aor, g.served = g.snapshot.AOR(g.request.To.URI)
	if g.served && !g.snapshot.MayBind(g.peer, g.aor) {
		return g.End(403, "Forbidden", journal.AORNotListed, "aorname is "+joined(g.peer.AORs))
	}
	return nil
}

// isSecureEnough tells whether a request may name the URI: who asks for TLS on each
// hop (sips:, §26.2.2) comes by TLS.
func (g *registration) isSecureEnough(uri *sipuri.URI) bool {
	return uri.Scheme != "sips" || g.request.Flow.Secure()
}

// Step 5.
func (g *registration) checkAOR() *message.Response {
	if !g.request.To.URI.IsSIP() {
		return g.End(404, "To Holds No SIP URI", journal.SchemeNotSupported, g.request.To.URI.Scheme)
	}
	if !g.served {
		return g.End(404, "Domain Not Served Here", journal.DomainNotServed, g.request.To.URI.Host)
	}
	return nil
}

// joined lists values as peers.conf has them.
func joined[T fmt.Stringer](values []T) string {
	var text []string
	for _, value := range values {
		text = append(text, value.String())
	}
	return strings.Join(text, ", ")
}

// Step 8. Date lets a phone without a clock set one.
func (g *registration) listBindings() *message.Response {
	response := g.request.Respond(200, "OK")
	var space [512]byte
	for i := range g.bindings {
		text := appendContact(space[:0], &g.bindings[i], g.now)
		response.WithBytes("Contact", g.appendGRUUs(text, &g.bindings[i]))
	}
	g.answerExtensions(response)
	response.With("Date", g.dateOf(g.now))
	response.Keep = true
	return response
}
