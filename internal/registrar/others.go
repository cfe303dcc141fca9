package registrar

import (
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
}

// remote is a Location that may be out of reach.
type remote interface {
	// Stale tells that what is bound is not known just now, but what this node has seen
	// last.
	Stale() bool
}

func newOthers(o *Options) others {
	proving, _ := o.Location.(proving)
	remote, _ := o.Location.(remote)
	return others{Others: o.Others, proving: proving, remote: remote}
}

// isStale tells that what is bound is not known for sure.
func (r *Registrar) isStale() bool { return r.others.remote != nil && r.others.remote.Stale() }

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

// prove takes down what has proved the request, for those who share the location. Where it
// changes bindings they may know that as used already: what the guard is told is to wait.
func (a *Authentication) prove(credentials *message.Credentials) {
	a.nonce = credentials.Nonce
	if a.others.proving == nil || a.request.Method != "REGISTER" {
		return
	}
	a.use.Issued, a.use.Number = a.authenticator.Numbers(a.nonce)
	a.use.Count = digest.Count(credentials)
	a.provesLater = a.request.Contacts.Star || len(a.request.Contacts.Values) > 0
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
