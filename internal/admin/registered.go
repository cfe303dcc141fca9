package admin

import (
	"strings"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/location"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// registered returns the bindings of now that a name is about: an AOR, the label or
// authname of a peer, or the address or network that they were made from.
func (s *Server) registered(name string, directory *peers.Directory) []api.Contact {
	now, found := s.Clock(), []api.Contact{}
	taken := map[uint64]bool{} // a store may yield an AOR twice
	take := func(aor sipuri.AOR, bindings []location.Binding, isAsked func(*location.Binding) bool) {
		for i := range bindings {
			if b := &bindings[i]; b.Expires.After(now) && isAsked(b) && !taken[b.ID] && len(found) < maxLimit {
				taken[b.ID] = true
				found = append(found, s.contactOf(aor, b, now))
			}
		}
	}
	if network, err := readNetwork(name); err == nil {
		for aor, bindings := range s.Store.All() {
			take(aor, bindings, func(b *location.Binding) bool { return network.Contains(b.Source.Addr().Unmap()) })
		}
		return found
	}
	if name == "" {
		return found
	}
	asked := directory.ReadAOR(strings.TrimPrefix(strings.TrimPrefix(name, "sips:"), "sip:"))
	take(asked, s.Store.Bindings(asked, now), func(*location.Binding) bool { return true })
	for p := range directory.All() {
		if !strings.EqualFold(p.Label, name) && p.Authname != name {
			continue
		}
		isOfPeer := func(b *location.Binding) bool { return b.Authname == p.Authname }
		s.eachOf(p, now, func(aor sipuri.AOR, bindings []location.Binding) {
			if aor != asked {
				take(aor, bindings, isOfPeer)
			}
		})
	}
	return found
}

// eachOf shows the bindings of each AOR that a peer may have.
func (s *Server) eachOf(p *peers.Peer, now time.Time, show func(sipuri.AOR, []location.Binding)) {
	if p.AnyAOR {
		for aor, bindings := range s.Store.All() {
			show(aor, bindings)
		}
		return
	}
	for _, aor := range p.AORs {
		show(aor, s.Store.Bindings(aor, now))
	}
}
