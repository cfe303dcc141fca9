package registrar

import (
	"slices"
	"strconv"
	"sync"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// recountPause is how long AORs that have come free count as bound, at most: to count
// them goes through all bindings.
const recountPause = time.Minute

// boundAORs knows how many AORs those peers have bound that may bind any. It counts up by
// itself, and down by counting anew once a peer has as many as it may.
type boundAORs struct {
	mu sync.Mutex
	of map[peerName]boundCount
}

type peerName struct{ domain, authname string }

type boundCount struct {
	aors    int // at least as many as there are
	counted time.Time
}

// take counts one more, unless there are so many already.
func (a *boundAORs) take(name peerName, most int, now time.Time, count func() int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	bound, known := a.of[name]
	if !known || bound.aors >= most && (now.Sub(bound.counted) >= recountPause || now.Before(bound.counted)) {
		bound = boundCount{count(), now}
	}
	took := bound.aors < most
	if took {
		bound.aors++
	}
	a.of[name] = bound
	return took
}

// forget has all counted anew.
func (a *boundAORs) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.of = map[peerName]boundCount{}
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
	return g.end(403, "Too Many Addresses", journal.TooManyAORs, "max_aors is "+strconv.Itoa(g.peer.MaxAORs))
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

// countAORs goes through all bindings, none of which it removes.
func (g *registration) countAORs() (count int) {
	var last sipuri.AOR
	g.location.RemoveIf(func(aor sipuri.AOR, b *location.Binding) bool {
		if b.Expires.After(g.now) && aor != last && g.isOwn(b) && !slices.Contains(g.peer.AORs, aor) {
			count, last = count+1, aor.Clone()
		}
		return false
	}, func(sipuri.AOR, *location.Binding) {})
	return count
}
