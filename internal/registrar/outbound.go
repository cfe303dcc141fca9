package registrar

import (
	"slices"
	"strconv"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/message"
)

// RFC 5626 §6. A phone that uses outbound keeps several flows to here, each a binding
// of its own, told by its instance ID and its reg-id.

// regID returns the number of the flow that the phone registers with a Contact, 0
// where outbound is not used: reg-id counts with an instance ID, and for who says that
// outbound is supported.
func (g *registration) regID(contact *message.Contact) uint32 {
	if contact.Instance == "" || !g.supports(message.ExtensionOutbound) {
		return 0
	}
	return contact.RegID
}

// supports tells whether the phone supports an extension, as who requires it does.
func (g *registration) supports(extension message.Extensions) bool {
	if g.request.Supported.Has(extension) {
		return true
	}
	for _, tag := range g.request.Require {
		if message.ExtensionOf(tag) == extension {
			return true
		}
	}
	return false
}

// paramsOf returns the parameters to keep with a Contact: reg-id only where it counts.
func (g *registration) paramsOf(contact *message.Contact) string {
	if contact.RegID != 0 && g.regID(contact) == 0 {
		return contact.WithoutRegID()
	}
	return contact.Params
}

// checkOutbound refuses outbound where the proxy next to the phone does not keep its
// flow: it would say so in its own value of Path, which is the last. And it refuses
// several flows in one request, which comes by one.
func (g *registration) checkOutbound() *message.Response {
	flows := 0
	for i := range g.request.Contacts.Values {
		if g.regID(&g.request.Contacts.Values[i]) != 0 {
			flows++
		}
	}
	switch {
	case flows == 0:
		return nil
	case flows > 1 && g.usesOutbound():
		return g.End(400, "Several Contacts With Reg-Id", journal.OutboundMisused, "")
	case len(g.request.Vias) > 1 && !g.request.Path.Outbound:
		return g.End(439, "First Hop Lacks Outbound Support", journal.FirstHopWithoutOutbound, "")
	}
	return nil
}

// usesOutbound tells whether a flow was registered.
func (g *registration) usesOutbound() bool {
	return slices.ContainsFunc(g.asked, func(a asked) bool { return a.regID != 0 && !a.remove })
}

// datagramTimer is the longest Flow-Timer over UDP, in seconds, where NATs forget
// sooner (RFC 5626 §4.4.2).
const datagramTimer = 29

// announceFlowTimer tells a phone how often it has to say that it is there (RFC 5626
// §4.4), where its flow is with this registrar and not with a proxy.
func (g *registration) announceFlowTimer(response *message.Response) {
	if g.flowTimer == 0 || len(g.request.Vias) > 1 {
		return
	}
	seconds := g.flowTimer
	if !g.request.Flow.Reliable() {
		seconds = min(seconds, datagramTimer)
	}
	response.With("Flow-Timer", strconv.Itoa(seconds))
	response.Alive = time.Duration(seconds) * time.Second
}

// answerExtensions adds what the extensions that were used have a 200 say.
func (g *registration) answerExtensions(response *message.Response) {
	if path := g.request.Path.Text; path != "" { // RFC 3327 §5.3
		response.With("Path", path)
	}
	if g.serviceRoute != "" { // RFC 3608 §6.3
		response.With("Service-Route", g.serviceRoute)
	}
	if !g.usesOutbound() {
		return
	}
	response.With("Require", "outbound")
	g.announceFlowTimer(response)
}
