package registrar

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/peers"
	"sipregd/internal/sipuri"
)

// recountPause is how long AORs that have come free count as bound, at most: to count
// them goes through all bindings.
const recountPause = time.Minute

// boundAORs knows how many AORs those peers have bound that may bind any. It counts up by
// itself, and down by counting all anew once a peer has as many as it may.
type boundAORs struct {
	mu      sync.Mutex
	of      map[peerName]int // at least as many as there are; nil: they were not counted
	counted time.Time
}

type peerName struct{ domain, authname string }

// take counts one more, unless there are so many already.
func (a *boundAORs) take(name peerName, most int, now time.Time, count func() map[peerName]int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of == nil || a.of[name] >= most && (now.Sub(a.counted) >= recountPause || now.Before(a.counted)) {
		a.of, a.counted = count(), now
	}
	if a.of[name] >= most {
		return false
	}
	a.of[name]++
	return true
}

// forget has all counted anew.
func (a *boundAORs) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of = nil
}

// checkAORs bounds how many AORs a peer binds that may bind any (aorname = *). Those that
// it lists are as many as they are.
func (g *registration) checkAORs() *message.Response {
	if !g.peer.AnyAOR || g.peer.MaxAORs == 0 || slices.Contains(g.peer.AORs, g.aor) || !g.binds() || g.isBound() {
		return nil
	}
	if g.aors.take(peerName{g.peer.Domain, g.peer.Authname}, g.peer.MaxAORs, g.now, g.countAORs) {
		return nil
	}
	return g.End(403, "Too Many Addresses", journal.TooManyAORs, "max_aors is "+strconv.Itoa(g.peer.MaxAORs))
}

// binds tells whether the request asks for more than to remove.
func (g *registration) binds() bool {
	return slices.ContainsFunc(g.asked, func(a asked) bool { return !a.remove })
}

// isBound tells whether the AOR is one that the peer has bound already.
func (g *registration) isBound() bool {
	return slices.ContainsFunc(g.location.Bindings(g.aor, g.now), func(b location.Binding) bool { return g.isOwn(&b) })
}

// isOwn tells whether a binding is the peer's that has proved itself.
func (g *registration) isOwn(b *location.Binding) bool {
	return b.Authname == g.peer.Authname && g.snapshot.ByAuthname(b.Domain, b.Authname) == g.peer
}

// countAORs goes through all bindings, once for all peers that may bind any AOR.
func (g *registration) countAORs() map[peerName]int {
	count := map[peerName]int{}
	for aor, bindings := range g.location.All() {
		for i := range bindings {
			if p := g.ownerOf(aor, &bindings[i]); p != nil && !g.isOneOf(bindings[:i], aor, p) {
				count[peerName{p.Domain, p.Authname}]++
			}
		}
	}
	return count
}

// isOneOf tells whether a peer owns one of the bindings of an AOR.
func (g *registration) isOneOf(bindings []location.Binding, aor sipuri.AOR, p *peers.Peer) bool {
	return slices.ContainsFunc(bindings, func(b location.Binding) bool { return g.ownerOf(aor, &b) == p })
}

// ownerOf returns the peer of a binding, where it is one to an AOR that the peer does not
// list, and has not expired.
func (g *registration) ownerOf(aor sipuri.AOR, b *location.Binding) *peers.Peer {
	p := g.snapshot.ByAuthname(b.Domain, b.Authname)
	if p == nil || !p.AnyAOR || !b.Expires.After(g.now) || slices.Contains(p.AORs, aor) {
		return nil
	}
	return p
}
