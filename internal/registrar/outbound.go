package registrar

import (
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
// flow, and several flows in one request, which is one flow.
func (g *registration) checkOutbound() *message.Response {
	flows, added := 0, 0
	for i := range g.asked {
		if g.asked[i].regID == 0 {
			continue
		}
		if flows++; !g.asked[i].remove {
			added++
		}
	}
	switch {
	case flows == 0:
		return nil
	case flows > 1 && added > 0:
		return g.end(400, "Several Contacts With Reg-Id", journal.OutboundMisused, "")
	case len(g.request.Vias) > 1 && !g.request.Path.Outbound:
		return g.end(439, "First Hop Lacks Outbound Support", journal.FirstHopWithoutOutbound, "")
	}
	return nil
}

// usesOutbound tells whether a flow was registered, and by its own proxy or none.
func (g *registration) usesOutbound() bool {
	for i := range g.asked {
		if g.asked[i].regID != 0 {
			return true
		}
	}
	return false
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
	if g.flowTimer > 0 { // RFC 5626 §4.4
		response.With("Flow-Timer", strconv.Itoa(g.flowTimer))
		response.Alive = time.Duration(g.flowTimer) * time.Second
	}
}
