package admin

import (
	"strings"

	"sipregd/internal/admin/api"
	"sipregd/internal/location"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// registered returns the bindings of now that a name is about: an AOR, the label or
// authname of a peer, or the address or network that they were made from.
func (l *lookups) registered(name string, directory *peers.Directory) []api.Contact {
	found := []api.Contact{}
	taken := map[uint64]bool{} // a store may yield an AOR twice
	take := func(aor sipuri.AOR, bindings []location.Binding, isAsked func(*location.Binding) bool) {
		for i := range bindings {
			if b := &bindings[i]; b.Expires.After(l.now) && isAsked(b) && !taken[b.ID] && len(found) < maxLimit {
				taken[b.ID] = true
				found = append(found, l.server.contactOf(aor, b, l.now))
			}
		}
	}
	if network, err := readNetwork(name); err == nil {
		for aor, bindings := range l.all() {
			take(aor, bindings, func(b *location.Binding) bool { return network.Contains(b.Source.Addr().Unmap()) })
		}
		return found
	}
	if name == "" {
		return found
	}
	asked := directory.ReadAOR(strings.TrimPrefix(strings.TrimPrefix(name, "sips:"), "sip:"))
	bindings, _ := l.of(asked)
	take(asked, bindings, func(*location.Binding) bool { return true })
	for p := range directory.All() {
		if !strings.EqualFold(p.Label, name) && p.Authname != name {
			continue
		}
		isOfPeer := func(b *location.Binding) bool { return b.Authname == p.Authname }
		l.eachOf(p, func(aor sipuri.AOR, bindings []location.Binding) {
			if aor != asked {
				take(aor, bindings, isOfPeer)
			}
		})
	}
	return found
}

// eachOf shows the bindings of each AOR that a peer may have.
func (l *lookups) eachOf(p *peers.Peer, show func(sipuri.AOR, []location.Binding)) {
	if p.AnyAOR {
		for aor, bindings := range l.all() {
			show(aor, bindings)
		}
		return
	}
	for _, aor := range p.AORs {
		bindings, _ := l.of(aor)
		show(aor, bindings)
	}
}
