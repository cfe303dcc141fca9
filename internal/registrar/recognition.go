package registrar

import (
	"net/netip"
	"strings"

	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// isOf tells whether a Contact of the request is that of the phone whose binding that
// is.
func (g *registration) isOf(a *asked, b *location.Binding) bool {
	if a.binding.IsLike(b) { // as a rule
		return true
	}
	kin := a.kinTo(b)
	// RFC 5626 §6: a flow is known by its instance ID and its reg-id.
	if kin == sameFlow || kin == otherFlow {
		return kin == sameFlow
	}
	uri, err := sipuri.Parse(b.Contact)
	if err != nil {
		return false
	}
	// §10.3 step 7, §19.1.4: equal URIs. Behind NAT one may stand for two phones.
	if uri.Equal(a.uri) {
		return kin != otherPhone || a.regID == 0 && !(a.binding.NAT && b.NAT)
	}
	return g.takesPlaceOf(a, b, &uri, kin)
}

// kinship is what instance IDs and reg-ids say of a Contact and a binding.
type kinship uint8

const (
	noKinship  kinship = iota // one of them has no instance ID
	sameFlow                  // the same of both
	otherFlow                 // the same instance ID, and another reg-id
	samePhone                 // the same instance ID, and one of them does not use outbound
	otherPhone                // another instance ID
)

func (a *asked) kinTo(b *location.Binding) kinship {
	if a.instance == "" {
		return noKinship
	}
	switch instance, regID := message.InstanceOf(b.Params); {
	case instance == "":
		return noKinship
	case !strings.EqualFold(instance, a.instance):
		return otherPhone
	case a.regID == 0 || regID == 0:
		return samePhone
	case a.regID == regID:
		return sameFlow
	}
	return otherFlow
}

// takesPlaceOf tells whether a Contact with another URI is the same phone's, which the
// RFCs leave open. Where the request asks for that URI too, both stay. A phone that
// unregisters gives up an address that it has left, but not, by one that it had before,
// that which it has.
func (g *registration) takesPlaceOf(a *asked, b *location.Binding, uri *sipuri.URI, kin kinship) bool {
	switch {
	case kin == otherPhone || sameContact(g.asked, uri) != nil:
		return false
	case a.remove:
		return kin == samePhone && a.binding.Source != b.Source
	}
	return kin == samePhone || g.recognises(a, b, uri)
}

// recognises tells whether a phone of the same peer is recognised by its Call-ID or
// another mark of its own: where the peer says so, and where its address may change at
// any time.
func (g *registration) recognises(a *asked, b *location.Binding, uri *sipuri.URI) bool {
	if b.Authname != g.peer.Authname || g.peer.RecognizePhone == peers.Never {
		return false
	}
	if g.peer.RecognizePhone == peers.Auto && !a.binding.NAT && !b.NAT && !(isLearned(&a.uri, &a.binding) && isLearned(uri, b)) {
		return false
	}
	return b.CallID == g.request.CallID || sameMark(&a.uri, uri)
}

// isLearned tells whether a Contact is just where the phone is seen to come from, as
// one writes it that sits behind NAT and was told (RFC 3581).
func isLearned(uri *sipuri.URI, b *location.Binding) bool {
	address, err := netip.ParseAddr(strings.Trim(uri.Host, "[]"))
	return err == nil && b.Transport == "UDP" && uri.Port == b.Source.Port() &&
		address.Unmap() == b.Source.Addr().Unmap().WithZone("")
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
