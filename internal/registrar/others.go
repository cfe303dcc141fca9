package registrar

import (
	"errors"
	"sync/atomic"
	"time"

	"sipregd/internal/digest"
	"sipregd/internal/location"
	"sipregd/internal/message"
	"sipregd/internal/sipuri"
)

// Others is what there is to know where other nodes share the location service.
type Others struct {
	Node     string    // the name of this one; empty: there are no others
	Outbound string    // value of Path by which others reach phones whose flow is here, empty: none
	Started  time.Time // when this node was
}

// others is Others, and what a location service can do that others share.
type others struct {
	Others
	proving proving     // nil: it cannot
	remote  remote      // likewise
	twin    atomic.Bool // another node seems to have the name of this one
}

// proving is a Location that knows what has proved a request to any node.
type proving interface {
	// UpdateProved is Update for a request that this use has proved. location.ErrReplayed:
	// it has proved another one before, and nothing was changed.
	UpdateProved(aor sipuri.AOR, now time.Time, use location.Use,
		change func(current []location.Binding) ([]location.Binding, error), made func(expired []location.Binding)) error
	// Claim takes down a use by itself, for a request of who may change several AORs:
	// what he has proved of one he could be said to have proved of another. Errors are
	// those of UpdateProved.
	Claim(use location.Use) error
}

// remote is a Location that may be out of reach.
type remote interface {
	// Lookup is Bindings, and tells that what is bound is not known, but what this node has
	// seen last.
	Lookup(aor sipuri.AOR, now time.Time) (bindings []location.Binding, stale bool)
	// Stale tells that this may be so of some AORs just now, and StaleOf of which.
	Stale() bool
	StaleOf(aor sipuri.AOR) bool
}

func newOthers(o *Options) others {
	proving, _ := o.Location.(proving)
	remote, _ := o.Location.(remote)
	return others{Others: o.Others, proving: proving, remote: remote}
}

// IsFar tells whether the location service may be out of reach, and each look at it a round
// trip.
func (r *Registrar) IsFar() bool { return r.others.remote != nil }

// Lookup returns what an AOR is bound to. stale: that is not known for sure, and what this
// node has seen last.
func (r *Registrar) Lookup(aor sipuri.AOR, now time.Time) (bindings []location.Binding, stale bool) {
	if r.others.remote == nil {
		return r.location.Bindings(aor, now), false
	}
	return r.others.remote.Lookup(aor, now)
}

// IsStale tells that what is bound is not known for sure, of some AORs at least.
func (r *Registrar) IsStale() bool { return r.others.remote != nil && r.others.remote.Stale() }

// IsStaleOf tells that what is bound to an AOR is not known for sure.
func (r *Registrar) IsStaleOf(aor sipuri.AOR) bool {
	return r.others.remote != nil && r.others.remote.StaleOf(aor)
}

// isHere tells whether a phone has registered with this node last, so that its flow is
// here.
func (r *Registrar) isHere(b *location.Binding) bool {
	return b.Node == "" || b.Node == r.others.Node
}

// isOver tells whether a phone is reached by that connection of this node.
func (r *Registrar) isOver(stream uint64, b *location.Binding) bool {
	return b.Stream == stream && r.isHere(b)
}

// pathTo returns the values of Path by which everybody reaches a phone: in front that of
// this node, where the phone is reached by its flow alone (RFC 5626 §5.1).
func (g *registration) pathTo(stream uint64, nat bool) string {
	path, outbound := g.request.Path.Text, g.others.Outbound
	switch {
	case outbound == "" || stream == 0 && !nat:
		return path
	case path == "":
		return outbound
	}
	return outbound + "," + path
}

// prove takes down what has proved the request, and sees to it that it proves no other one
// to any node. Of a REGISTER that is told by the store: with the change of the AOR, where
// the peer has but one, else before. What the guard is told is to wait for it. Other
// methods are proved by a nonce of this node alone, which knows by itself what that has
// proved: their digests are good for no REGISTER (RFC 7616 §3.4.3).
func (a *Authentication) prove(c *claim) (digest.Result, error) {
	a.nonce = c.credentials.Nonce
	if a.others.proving == nil {
		return digest.Right, nil
	}
	if a.request.Method != "REGISTER" {
		if !a.authenticator.HasMade(a.nonce) {
			return digest.Stale, nil
		}
		return digest.Right, nil
	}
	a.use.Issued, a.use.Number = a.authenticator.Numbers(a.nonce)
	a.use.Count = digest.Count(c.credentials)
	if a.provesLater = len(c.peer.AORs) == 1 && !c.peer.AnyAOR; a.provesLater {
		return digest.Right, nil
	}
	err := a.others.proving.Claim(a.use)
	if errors.Is(err, location.ErrReplayed) {
		return digest.Replayed, nil
	}
	return digest.Right, err
}

// claimRefused takes down what has proved a request that was refused before the store was
// told, or by what it has: somebody may have seen it on its way. Where that is not known
// to be the first time, the response is not kept for who sends it again.
func (g *registration) claimRefused(response *message.Response) {
	if !g.provesLater || g.claimed || g.peer == nil {
		return
	}
	g.aor = g.peer.AORs[0]
	err := g.others.proving.UpdateProved(g.aor, g.now, g.use, g.unchanged, g.made)
	if response.Keep = err == nil; response.Keep {
		g.tellProved()
	}
}

// store makes a change to the AOR's bindings.
func (g *registration) store(change change) error {
	g.expectBinding()
	if !g.provesLater {
		return g.location.Update(g.aor, g.now, change, g.made)
	}
	return g.others.proving.UpdateProved(g.aor, g.now, g.use, change, g.made)
}

// expectBinding takes down that the AOR is bound over the connection before it is: where
// no answer comes from the store in time, it may be all the same.
func (g *registration) expectBinding() {
	if g.others.remote != nil && g.binds() {
		g.flows.bind(g.streamOfPhone(), g.aor)
	}
}

// lookForTwin takes down that another node has the name of this one, where a binding shows
// it: it was made over a connection in the life of this node that is none of its.
func (r *Registrar) lookForTwin(current []location.Binding) {
	if r.others.Node == "" {
		return
	}
	for i := range current {
		b := &current[i]
		if b.Stream == 0 || b.Node != r.others.Node || !b.Changed.After(r.others.Started) {
			continue
		}
		if !r.flows.isOfThisLife(b.Stream) {
			r.others.twin.Store(true)
		}
	}
}

// HasTwin tells whether another node has shown since it was last asked that it has the
// name of this one.
func (r *Registrar) HasTwin() bool { return r.others.twin.Swap(false) }
