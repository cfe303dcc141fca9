package regevent

import (
	"fmt"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
	"sipregd/internal/transaction"
)

// eventPackage is the one that there is (RFC 3680 §4.1).
const eventPackage = "reg"

// bySubscribe says in the journal which request it was.
const bySubscribe = journal.CallBy + "SUBSCRIBE"

// How long a subscription lives, in seconds: where it asks for no time (RFC 3680 §4.4),
// the least that is granted, and the most.
const (
	defaultExpiration = 3761
	minimumExpiration = 60
	maximumExpiration = 7200
)

// core answers SUBSCRIBE.
type core struct {
	transaction.Core
	notifier *Notifier
}

// Before returns a core that answers SUBSCRIBE, and passes on all else. The registrar
// says who somebody is.
func (n *Notifier) Before(next transaction.Core, r *registrar.Registrar) transaction.Core {
	n.registrar = r
	return core{next, n}
}

// Answer returns the response to a request.
func (c core) Answer(request *message.Request, now time.Time) *message.Response {
	if request.Method == "SUBSCRIBE" && c.isHere(request) {
		return c.notifier.answer(request, now)
	}
	response := c.Core.Answer(request, now)
	if request.Method == "OPTIONS" && response.Status == 200 { // RFC 6665 §8.2.2
		response.With("Allow-Events", eventPackage)
	}
	return response
}

// isHere tells whether a SUBSCRIBE is answered here. Other events are the phone's own,
// and a redirect server tells where that is.
func (c core) isHere(request *message.Request) bool {
	return request.Event.Package == eventPackage || c.Core == transaction.Core(c.notifier.registrar)
}

// attempt is a SUBSCRIBE on its way through the steps. Each step returns nil to go on, or
// the response that ends it.
type attempt struct {
	*Notifier
	registrar.Authentication
	request *message.Request
	now     time.Time
	known   *subscription // that it is about; nil: it makes a new one
	aor     sipuri.AOR
	watcher watcher
	expires uint32 // seconds
}

// answer carries out RFC 6665 §4.2.1 for one SUBSCRIBE.
func (n *Notifier) answer(r *message.Request, now time.Time) *message.Response {
	g := &attempt{Notifier: n, Authentication: n.registrar.Authentication(r, now), request: r, now: now}
	for _, step := range [...]func() *message.Response{
		g.findDialog, g.checkDomain, g.checkExtensions, g.checkEvent, g.authorize, g.CheckBindingsKnown, g.checkAccept, g.checkExpires, g.checkContact,
	} {
		if end := step(); end != nil {
			return end
		}
	}
	if g.known != nil {
		return g.refresh()
	}
	return g.subscribe()
}

// findDialog finds the subscription of a request within a dialog (RFC 3261 §12.2.2).
func (g *attempt) findDialog() *message.Response {
	if g.request.To.Tag == "" {
		return nil
	}
	if g.known = g.find(dialog{g.request.CallID, g.request.From.Tag, g.request.To.Tag}); g.known == nil {
		return g.End(481, "Subscription Does Not Exist", journal.SubscriptionUnknown, "")
	}
	return nil
}

// find returns the subscription of a dialog, nil: there is none.
func (n *Notifier) find(d dialog) *subscription {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.dialogs[d]
}

// checkDomain finds the domain in which the watcher proves who it is. Within a dialog the
// Request-URI is the Contact that was given.
func (g *attempt) checkDomain() *message.Response {
	if g.known != nil {
		g.InDomain(g.known.domain)
		return nil
	}
	return g.CheckDomain()
}

// checkExtensions refuses what requires any (§8.2.2.3).
func (g *attempt) checkExtensions() *message.Response {
	if len(g.request.Require) == 0 {
		return nil
	}
	tags := strings.Join(g.request.Require, ", ")
	return g.EndWith(g.request.Respond(420, "Bad Extension").With("Unsupported", tags), journal.ExtensionNotSupported, tags)
}

// checkEvent refuses other event packages (RFC 6665 §4.2.1.1), and a second subscription
// within a dialog (§4.5.2).
func (g *attempt) checkEvent() *message.Response {
	if g.request.Event.Package != eventPackage {
		response := g.request.Respond(489, "Bad Event").With("Allow-Events", eventPackage)
		return g.EndWith(response, journal.EventNotSupported, g.request.Event.Package)
	}
	if g.known != nil && g.known.event.ID != g.request.Event.ID {
		return g.End(403, "One Subscription In A Dialog", journal.WatcherNotPermitted, "the dialog belongs to another subscription")
	}
	return nil
}

// authorize lets those in whose network may watch all, and peers for what they may bind
// (RFC 3680 §4.6). Nobody learns more about an address-of-record before.
func (g *attempt) authorize() *message.Response {
	var served bool
	if g.known != nil {
		g.aor, served = g.known.aor, true
	} else {
		g.aor, served = g.Peers().AOR(g.request.URI)
	}
	g.About(g.aor)
	if g.known == nil && g.request.URI.Scheme == "sips" && !g.request.Flow.Secure() { // RFC 3261 §26.2.2
		return g.sipsNeedsTLS("Request-URI", g.request.URIText)
	}
	if peers.Within(g.Permit, g.request.Flow.Source.Addr()) { // who may watch all
		g.watcher = permitted
		return g.checkKnown(served)
	}
	if end := g.AuthenticateHere(); end != nil {
		return end
	}
	if end := g.CheckPeer(); end != nil {
		return end
	}
	g.watcher = watcher{g.Domain(), g.Peer().Authname}
	if !served || !g.Peers().MayBind(g.Peer(), g.aor) || g.known != nil && g.known.watcher != g.watcher {
		return g.End(403, "Forbidden", journal.WatcherNotPermitted, bySubscribe)
	}
	return nil
}

func (g *attempt) sipsNeedsTLS(field, text string) *message.Response {
	return g.End(403, "SIPS Needs TLS", journal.SIPSWithoutTLS, "the "+field+" is "+text)
}

// checkKnown ends what is about nobody's address-of-record, or another's subscription.
func (g *attempt) checkKnown(served bool) *message.Response {
	switch {
	case g.known == nil && !(served && g.Peers().HasAOR(g.aor)):
		return g.End(404, "Not Found", journal.NoSuchAOR, bySubscribe)
	case g.known != nil && g.known.watcher != permitted:
		return g.End(403, "Forbidden", journal.WatcherNotPermitted, "")
	}
	return nil
}

// checkAccept refuses who takes no documents of that type (§8.2.3).
func (g *attempt) checkAccept() *message.Response {
	if g.request.Accepts(mediaType) {
		return nil
	}
	return g.EndWith(g.request.Respond(406, "Not Acceptable").With("Accept", mediaType), journal.BodyNotAccepted, "")
}

// checkExpires finds how long the subscription lives (RFC 6665 §4.2.1.1). 0 ends it.
func (g *attempt) checkExpires() *message.Response {
	wish := g.request.Expires
	switch {
	case !wish.Present || !wish.Valid:
		g.expires = defaultExpiration
	case wish.Seconds > 0 && wish.Seconds < minimumExpiration:
		response := g.request.Respond(423, "Interval Too Brief").With("Min-Expires", strconv.Itoa(minimumExpiration))
		return g.EndWith(response, journal.ExpiryTooBrief, fmt.Sprintf("%d; the minimum is %d", wish.Seconds, minimumExpiration))
	default:
		g.expires = min(wish.Seconds, maximumExpiration)
	}
	return nil
}

// checkContact sees to it that NOTIFYs can be sent, and to nobody else. A SUBSCRIBE within
// the dialog may leave its Contact out.
func (g *attempt) checkContact() *message.Response {
	contacts := g.request.Contacts.Values
	if g.known != nil && len(contacts) == 0 && !g.request.Contacts.Star {
		return nil
	}
	if len(contacts) != 1 || !contacts[0].URI.IsSIP() {
		return g.End(400, "SUBSCRIBE Needs One SIP Contact", journal.Malformed, "SUBSCRIBE Needs One SIP Contact")
	}
	if contacts[0].URI.Scheme == "sips" && !g.request.Flow.Secure() {
		return g.sipsNeedsTLS("Contact", contacts[0].Text)
	}
	if end := g.CheckDestination("Contact", &contacts[0].URI, contacts[0].Text); end != nil {
		return end
	}
	if first, found := message.FirstRoute(g.request.RecordRoute); found {
		return g.CheckDestination("Record-Route", &first, g.request.RecordRoute)
	}
	return nil
}

// subscribe makes a subscription.
func (g *attempt) subscribe() *message.Response {
	s := g.newSubscription()
	mayStay, why := g.admit(s)
	switch {
	case why == stops:
		return g.stopping()
	case !mayStay:
		return g.End(403, "Forbidden", journal.ByConfiguration, bySubscribe)
	case why != "":
		return g.EndWith(g.request.Respond(503, "Too Many Subscriptions").With("Retry-After", "60"), journal.TooManySubscriptions, why)
	}
	return g.accept(s)
}

// stops is why nobody is let in while the daemon ends: nobody would be told anything.
const stops = "the daemon is stopping"

// stopping answers who would be told nothing any more.
func (g *attempt) stopping() *message.Response {
	return g.EndWith(g.request.Respond(503, "Stopping").With("Retry-After", "2"), journal.SubscriptionUnknown, stops)
}

// admit takes a subscription in. A request that comes again finds its own. It may not stay
// where peers.conf was reloaded meanwhile and takes it away; why says which limit is in
// the way.
func (g *attempt) admit(s *subscription) (mayStay bool, why string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.left {
		return true, stops
	}
	if g.dialogs[s.dialog] != nil {
		return true, ""
	}
	if !s.mayStay(g.Notifier.registrar.Directory()) {
		return false, ""
	}
	if why := g.fullFor(s); why != "" {
		return true, why
	}
	g.add(s)
	event := s.origin
	event.Kind, event.Time = journal.Subscribed, g.now
	g.events = append(g.events, event)
	return true, ""
}

// fullFor says which limit there is no room below. It is called with the lock.
func (n *Notifier) fullFor(s *subscription) string {
	r := n.resources[s.aor]
	switch {
	case len(n.byID) >= n.MaxSubscriptions:
		return "max_subscriptions is " + strconv.Itoa(n.MaxSubscriptions)
	case r != nil && len(r.subscriptions) >= n.PerAOR:
		return "subscriptions_per_aor is " + strconv.Itoa(n.PerAOR)
	case !s.reached && n.unreached >= n.maxUnreached():
		return "a quarter of max_subscriptions have not answered a NOTIFY yet"
	case s.watcher != permitted && n.peers[s.watcher] >= n.PerPeer:
		return "subscriptions_per_peer is " + strconv.Itoa(n.PerPeer)
	}
	return ""
}

// maxUnreached returns how many subscriptions there may be of which nobody knows yet whether
// their watchers are there: whoever makes them up leaves room for others.
func (n *Notifier) maxUnreached() int { return (n.MaxSubscriptions + 3) / 4 }

// newSubscription returns the subscription that the request asks for. What is kept of a
// request is its own.
func (g *attempt) newSubscription() *subscription {
	tag := message.TagText(g.request.AnswerTag)
	s := &subscription{
		dialog: dialog{strings.Clone(g.request.CallID), strings.Clone(g.request.From.Tag), string(tag[:])},
		event:  message.Event{Package: eventPackage, ID: strings.Clone(g.request.Event.ID)},
		aor:    g.aor.Clone(), watcher: g.watcher, domain: g.Domain(), judged: g.Peers(),
		uri:    uriOf(&g.request.URI),
		local:  strings.Clone(g.request.To.URIText()),
		remote: strings.Clone(g.request.From.URIText()),
		route:  strings.Clone(g.request.RecordRoute),
		secure: g.request.NeedsSIPS(),
		cseq:   g.request.CSeq.Number,
	}
	s.origin = g.origin()
	g.update(s)
	return s
}

// uriOf returns an address-of-record as a URI, as it was written.
func uriOf(uri *sipuri.URI) string {
	if uri.User == "" {
		return uri.Scheme + ":" + uri.Host
	}
	return uri.Scheme + ":" + uri.User + "@" + uri.Host
}

// origin returns what the journal says of the subscription from now on.
func (g *attempt) origin() journal.Event {
	event := g.Authentication.Event(journal.Unsubscribed, journal.None)
	event.AOR, event.Authname = g.aor.Clone(), strings.Clone(event.Authname)
	event.CallID, event.UserAgent = strings.Clone(event.CallID), strings.Clone(event.UserAgent)
	event.Contact = strings.Clone(g.request.Contacts.Values[0].Text)
	event.Expires = int64(g.expires)
	return event
}

// update takes into a subscription what each SUBSCRIBE says anew.
func (g *attempt) update(s *subscription) {
	s.expires = g.now.Add(time.Duration(g.expires) * time.Second)
	s.full, s.soonest = true, g.now.Add(firstDelay)
	if g.expires == 0 {
		s.ends = timeout
	}
	if len(g.request.Contacts.Values) == 1 { // §12.2.1.2: it may name another target
		s.target = strings.Clone(g.request.Contacts.Values[0].Text)
		s.flow = flowTo(g.request, s.route)
		g.updateReached(s)
	}
}

// updateReached takes in whether the watcher is surely where the SUBSCRIBE seems to come from:
// anybody may write a permitted address into a datagram.
func (g *attempt) updateReached(s *subscription) {
	source := g.request.Flow.Source.Addr()
	switch {
	case g.watcher != permitted || s.flow.Reliable():
		s.reached = true
	case s.source != source:
		s.source, s.reached, s.room = source, false, notifyAmplification*g.request.Length
	}
}

// flowTo returns by which flow NOTIFYs go: that of the SUBSCRIBE, which a connection or a
// NAT leaves no choice of; else to the port of the first of its route, or of its Contact,
// where that is at the same address. What is at another one may be a victim: who has sent
// the SUBSCRIBE on passes the NOTIFY on. Names are not looked up.
func flowTo(r *message.Request, route string) message.Flow {
	flow := r.Flow
	flow.Certificate = nil
	if flow.Reliable() {
		return flow
	}
	source := flow.Source.Addr()
	next, found := message.FirstRoute(route)
	if !found {
		next = r.Contacts.Values[0].URI
	}
	address, isAddress := sipuri.HostAddr(next.Host)
	if !isAddress || address.Unmap() != source.Unmap().WithZone("") || r.Vias[0].IsElsewhere(source) {
		return flow
	}
	if name, found := next.Param("transport"); next.Scheme != "sip" || found && !strings.EqualFold(name, "udp") {
		return flow
	}
	port := next.Port
	if port == 0 {
		port = 5060
	}
	flow.Source = netip.AddrPortFrom(address.Unmap(), port)
	return flow
}

// refresh renews a subscription, or has it end.
func (g *attempt) refresh() *message.Response {
	s := g.known
	switch g.renew(s) {
	case leaving:
		return g.stopping()
	case gone:
		return g.End(481, "Subscription Does Not Exist", journal.SubscriptionUnknown, "")
	case outOfOrder: // RFC 3261 §12.2.2
		response := g.request.Respond(500, "Request Out Of Order").With("Retry-After", "1")
		return g.EndWith(response, journal.CSeqNotRising, "of a SUBSCRIBE")
	}
	return g.accept(s)
}

type renewal int

const (
	renewed renewal = iota
	gone
	outOfOrder
	leaving // the daemon ends
)

func (g *attempt) renew(s *subscription) renewal {
	g.mu.Lock()
	defer g.mu.Unlock()
	switch {
	case g.left:
		return leaving
	case g.request.CSeq.Number == s.cseq: // it came again
		return renewed
	case g.request.CSeq.Number < s.cseq:
		return outOfOrder
	case g.byID[s.id] == nil || s.ends != "":
		return gone
	}
	s.cseq = g.request.CSeq.Number
	g.discount(s)
	g.update(s)
	g.count(s)
	g.plan(s)
	return renewed
}

// accept answers a SUBSCRIBE that is granted (RFC 6665 §4.2.1.1). The NOTIFY follows.
func (g *attempt) accept(s *subscription) *message.Response {
	g.rouse()
	response := g.request.Respond(200, "OK").With("Expires", strconv.FormatUint(uint64(g.expires), 10)).
		With("Contact", message.ContactOf(g.request.Flow, s.secure))
	if g.request.RecordRoute != "" { // RFC 3261 §12.1.1
		response.With("Record-Route", g.request.RecordRoute)
	}
	// Without a digest over UDP it may not be there: it would be answered the same again.
	response.Keep = g.watcher != permitted || g.request.Flow.Reliable()
	response.Vouched = !response.Keep
	return response
}
