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
// itself, and down by counting all anew once a peer has as many as it may. No request
// waits for that where it takes long.
type boundAORs struct {
	mu        sync.Mutex
	of        map[peerName]int      // at least as many as there are, as far as they were counted
	since     map[boundAOR]struct{} // those that came while they are counted, and were not come across; nil: they are not counted
	counted   time.Time             // zero: never
	forgotten bool                  // they are to be counted soon, though what is known counts till then
	counting  sync.WaitGroup
}

type peerName struct{ domain, authname string }

type boundAOR struct {
	of  peerName
	aor sipuri.AOR
}

// take counts one more, unless there are so many already. It has them counted where that
// may change what it says: beside, it says what is known by then.
func (a *boundAORs) take(name peerName, aor sipuri.AOR, most int, now time.Time, count func() map[peerName]int, beside bool) bool {
	if a.isDue(name, most, now) {
		if beside {
			a.counting.Go(func() { a.put(count()) })
		} else {
			a.put(count())
		}
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.of[name] >= most {
		return false
	}
	if a.of == nil {
		a.of = map[peerName]int{}
	}
	a.of[name]++
	if a.since != nil {
		a.since[boundAOR{name, aor.Clone()}] = struct{}{}
	}
	return true
}

// isDue tells whether all are to be counted, and that nobody does so yet.
func (a *boundAORs) isDue(name peerName, most int, now time.Time) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	fresh := !a.counted.IsZero() && now.Sub(a.counted) < recountPause && !now.Before(a.counted)
	if a.since != nil || !a.forgotten && (fresh || a.of[name] < most) {
		return false
	}
	a.since, a.counted, a.forgotten = map[boundAOR]struct{}{}, now, false
	return true
}

// comeAcross takes down that an AOR is among those that are counted.
func (a *boundAORs) comeAcross(name peerName, aor sipuri.AOR) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.since, boundAOR{name, aor})
}

// put takes what was counted, and what came meanwhile and was not come across.
func (a *boundAORs) put(of map[peerName]int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for more := range a.since {
		of[more.of]++
	}
	a.of, a.since = of, nil
}

// forget has all counted anew.
func (a *boundAORs) forget() {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.forgotten = true
}

// WaitForCounting returns once no bindings are counted beside the requests that had that
// done. It is to be called when no more requests come, and the location service is closed.
func (r *Registrar) WaitForCounting() { r.aors.counting.Wait() }

// checkAORs bounds how many AORs a peer binds that may bind any (aorname = *). Those that
// it lists are as many as they are.
func (g *registration) checkAORs() *message.Response {
	if !g.peer.AnyAOR || g.peer.MaxAORs == 0 || slices.Contains(g.peer.AORs, g.aor) || !g.binds() || g.isBound() {
		return nil
	}
	if g.aors.take(peerName{g.peer.Domain, g.peer.Authname}, g.aor, g.peer.MaxAORs, g.now, g.counterOfAORs(), g.others.remote != nil) {
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

// counterOfAORs returns what goes through all bindings, once for all peers that may bind
// any AOR. It may run when the request is over.
func (g *registration) counterOfAORs() func() map[peerName]int {
	c := counter{g.snapshot, g.now}
	location, known := g.location, &g.aors
	return func() map[peerName]int {
		count, counted := map[peerName]int{}, map[boundAOR]struct{}{} // an AOR may be yielded twice
		for aor, bindings := range location.All() {
			for i := range bindings {
				p := c.ownerOf(aor, &bindings[i])
				if p == nil {
					continue
				}
				name := peerName{p.Domain, p.Authname}
				if _, again := counted[boundAOR{name, aor}]; !again {
					counted[boundAOR{name, aor.Clone()}] = struct{}{}
					count[name]++
					known.comeAcross(name, aor)
				}
			}
		}
		return count
	}
}

// counter tells whose bindings are at a time.
type counter struct {
	snapshot *peers.Directory
	now      time.Time
}

// ownerOf returns the peer of a binding, where it is one to an AOR that the peer does not
// list, and has not expired, and how many of those it may have is bounded.
func (c *counter) ownerOf(aor sipuri.AOR, b *location.Binding) *peers.Peer {
	p := c.snapshot.ByAuthname(b.Domain, b.Authname)
	if p == nil || !p.AnyAOR || p.MaxAORs == 0 || !b.Expires.After(c.now) || slices.Contains(p.AORs, aor) {
		return nil
	}
	return p
}
