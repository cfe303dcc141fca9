package redirect

import (
	"sync"
	"time"

	"sipregd/internal/peers"
	"sipregd/internal/registrar"
	"sipregd/internal/sipuri"
)

// mostLookups is how many addresses-of-record of a caller are looked up for a call at most,
// beside that which it calls from: each may be a round trip to a store that is elsewhere.
const mostLookups = 8

// standing is how a peer stands with an address-of-record.
type standing struct {
	bound bool // it has a binding, so far as is known
	stale bool // which is not known for sure
}

// lookUp finds out whether the caller is registered, and what is bound that is called. Where
// the bindings are far away all is asked for at once: a call keeps who answers it no longer
// than one look may take.
func (c *call) lookUp() {
	if c.IsFar() {
		c.lookUpAtOnce()
		return
	}
	for aor := range c.ownAORs {
		if c.caller = standingOf(c.Peer(), aor, c.Registrar, c.now); c.caller.bound {
			break
		}
	}
	c.locate()
}

func (c *call) lookUpAtOnce() {
	var running sync.WaitGroup
	var found [mostLookups + 1]standing
	r, p, now, count := c.Registrar, c.Peer(), c.now, 0 // c itself is to stay on the stack
	for aor := range c.ownAORs {
		into := &found[count]
		count++
		running.Go(func() { *into = standingOf(p, aor, r, now) })
	}
	c.locate()
	running.Wait()
	for _, f := range found[:count] {
		c.caller.bound = c.caller.bound || f.bound
		c.caller.stale = c.caller.stale || f.stale
	}
}

func (c *call) locate() { c.aor, c.bindings, c.stale = c.Locate(c.request.URI, c.now) }

// ownAORs yields the addresses-of-record in which a caller may be registered that has to be:
// that which it calls from, and the first of its own.
func (c *call) ownAORs(yield func(sipuri.AOR) bool) {
	if c.permitted {
		return
	}
	p := c.Peer()
	from, served := c.Peers().AOR(c.request.From.URI)
	callsFrom := served && c.Peers().MayBind(p, from)
	if callsFrom && !yield(from) {
		return
	}
	for _, aor := range p.AORs[:min(len(p.AORs), mostLookups)] {
		if !(callsFrom && aor == from) && !yield(aor) {
			return
		}
	}
}

// standingOf looks for a binding of a peer.
func standingOf(p *peers.Peer, aor sipuri.AOR, r *registrar.Registrar, now time.Time) (s standing) {
	bindings, stale := r.Lookup(aor, now)
	s.stale = stale
	for i := range bindings {
		s.bound = s.bound || bindings[i].Authname == p.Authname // which nobody else has in that domain
	}
	return s
}
