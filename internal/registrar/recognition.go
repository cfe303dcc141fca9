package registrar

import (
	"net/netip"
	"strings"

	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// isOf tells whether a Contact of the request is the phone's whose binding that is.
// It is recognised by its instance ID, with reg-id (RFC 5626 §6); by equality of
// URIs (§19.1.4); and, where one Contact takes the place of another, by its instance
// ID alone or by what marks a phone.
func (g *registration) isOf(a *asked, b *location.Binding) bool {
	if a.binding.Contact == b.Contact && a.binding.Params == b.Params { // as a rule
		return true
	}
	var instance string
	var regID uint32
	if a.instance != "" {
		instance, regID = message.InstanceOf(b.Params)
	}
	same, other := strings.EqualFold(a.instance, instance) && instance != "", instance != ""
	if other = other && !same; same && a.regID != 0 && regID != 0 {
		return a.regID == regID
	}
	uri, err := sipuri.Parse(b.Contact)
	switch {
	case err != nil:
		return false
	case uri.Equal(a.uri): // behind NAT one URI may stand for two phones
		return !(other && (a.regID != 0 || a.binding.NAT && b.NAT))
	case a.remove || other || g.isAskedFor(uri):
		return false
	}
	return same || g.recognises(a, b) && (b.CallID == g.request.CallID || sameMark(&a.uri, &uri))
}

// isAskedFor tells whether a Contact of the request has that URI.
func (g *registration) isAskedFor(uri sipuri.URI) bool {
	for i := range g.asked {
		if g.asked[i].uri.Equal(uri) {
			return true
		}
	}
	return false
}

// recognises tells whether a phone of the same peer is recognised by marks that the RFCs
// do not know: where the peer says so, and behind NAT, where an address may change at
// any time.
func (g *registration) recognises(a *asked, b *location.Binding) bool {
	if b.Authname != g.peer.Authname {
		return false
	}
	switch g.peer.RecognizePhone {
	case peers.Always:
		return true
	case peers.Never:
		return false
	}
	return a.binding.NAT || b.NAT
}

// minMark is how many characters a mark has that no two phones have in common. With
// fewer, phones just count.
const minMark = 6

// sameMark tells whether two URIs have a mark of the phone in common: its push token
// (RFC 8599 §4.1), or what it calls the account.
func sameMark(a, b *sipuri.URI) bool {
	if a.Params == "" || b.Params == "" {
		return false
	}
	for _, name := range [...]string{"pn-prid", "line", "rinstance"} {
		ours, found := a.Param(name)
		if theirs, _ := b.Param(name); found && len(ours) >= minMark && ours == theirs {
			return true
		}
	}
	return false
}

// isBehindNAT tells whether the phone is reached by its flow alone: its Contact, or
// the Via that it wrote, names another address than it comes from, or none at all
// (RFC 7118 §5). Ports say nothing: phones send from others than they listen at. Nor
// does what came by a proxy.
func (g *registration) isBehindNAT(contact *message.Contact) bool {
	r := g.request
	if len(r.Vias) > 1 || r.Path.Text != "" {
		return false
	}
	source := r.Flow.Source.Addr().Unmap().WithZone("")
	host := contact.URI.Host
	address, err := netip.ParseAddr(strings.Trim(host, "[]"))
	if err != nil {
		return hasSuffixFold(host, ".invalid") || r.Vias[0].IsElsewhere(source)
	}
	return address.Unmap() != source || r.Vias[0].IsElsewhere(source)
}

func hasSuffixFold(text, suffix string) bool {
	return len(text) >= len(suffix) && strings.EqualFold(text[len(text)-len(suffix):], suffix)
}
