package registrar

import (
	"cmp"
	"sync"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// flows knows which addresses-of-record are bound over which connections, and which of
// these have ended.
type flows struct {
	mu    sync.Mutex
	bound map[uint64]*flow // by connection
	ended []endedFlow      // those that ended first stand first
	// IDs of connections rise, and begin with the time at which a node was started.
	first, last uint64
}

// flow is a connection over which something was bound.
type flow struct {
	aors  map[sipuri.AOR]struct{} // that were; if it is full, others too
	ended bool
}

// maxBoundAORs is how many are kept of a connection. A gateway may have so many; who
// registers ever other ones does not make this grow.
const maxBoundAORs = 4096

func (f *flow) isFull() bool { return len(f.aors) >= maxBoundAORs }

type endedFlow struct {
	stream uint64
	at     time.Time
}

// bind takes down that an AOR is bound over a connection. It is called for each
// refresh, and then does nothing as a rule.
func (f *flows) bind(stream uint64, aor sipuri.AOR) {
	if stream == 0 {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	known := f.bound[stream]
	if known == nil {
		f.first, f.last = min(cmp.Or(f.first, stream), stream), max(f.last, stream)
		known = &flow{aors: map[sipuri.AOR]struct{}{}}
		f.bound[stream] = known
	}
	if _, there := known.aors[aor]; !there && !known.isFull() {
		known.aors[aor.Clone()] = struct{}{}
	}
}

// knows tells whether anything was bound over a connection, and whether that has ended.
func (f *flows) knows(stream uint64) (known, ended bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	flow := f.bound[stream]
	return flow != nil, flow != nil && flow.ended
}

// isOfThisLife tells whether a connection may be one of those over which something was
// bound in this life of the daemon, if only once.
func (f *flows) isOfThisLife(stream uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.first <= stream && stream <= f.last
}

// end takes down that a connection has ended, if anything was bound over it.
func (f *flows) end(stream uint64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if flow := f.bound[stream]; flow != nil {
		flow.ended = true
		f.ended = append(f.ended, endedFlow{stream, now})
	}
}

// gone returns how many connections have ended whose bindings may be there still.
func (f *flows) gone() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.ended)
}

// take takes a connection that ended by then, with what was bound over it.
func (f *flows) take(by time.Time) (stream uint64, taken *flow) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ended) == 0 || f.ended[0].at.After(by) {
		return 0, nil
	}
	stream = f.ended[0].stream
	taken = f.bound[stream]
	f.ended = f.ended[1:]
	delete(f.bound, stream)
	return stream, taken
}

// giveBack undoes take. It is as if the connection had ended just now.
func (f *flows) giveBack(stream uint64, taken *flow, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bound[stream] = taken
	f.ended = append(f.ended, endedFlow{stream, now})
}

// FlowEnded takes down that a connection has ended. Nothing comes on it any more.
func (r *Registrar) FlowEnded(stream uint64, now time.Time) { r.flows.end(stream, now) }

// FlowGone tells whether the phone of a binding has lost the connection that it is
// reached by.
func (r *Registrar) FlowGone(b *location.Binding) bool {
	if b.Stream == 0 || !r.isHere(b) {
		return false
	}
	known, ended := r.flows.knows(b.Stream)
	return !known || ended
}

// removersAtOnce is how many connections are seen to at once where the store is far away.
const removersAtOnce = 64

// RemoveFlowless removes the bindings over connections that have ended, once the grace
// is over in which their phones might have come back. It is meant to be called once a
// second, by one at a time.
func (r *Registrar) RemoveFlowless(now time.Time) {
	var removers sync.WaitGroup
	if r.others.remote != nil {
		for range min(r.flows.gone(), removersAtOnce) {
			removers.Go(func() { r.removeDueFlows(now) })
		}
	}
	r.removeDueFlows(now)
	removers.Wait()
}

func (r *Registrar) removeDueFlows(now time.Time) {
	for {
		stream, flow := r.flows.take(now.Add(-r.disconnectGrace))
		if flow == nil {
			return
		}
		if flow.isFull() {
			r.removeAllOver(stream)
			continue
		}
		for aor := range flow.aors {
			if r.removeFlowless(aor, stream, now) == nil {
				delete(flow.aors, aor)
			}
		}
		if len(flow.aors) > 0 { // what cannot be saved is tried again
			r.flows.giveBack(stream, flow, now)
			return
		}
	}
}

// removeFlowless removes the bindings of an AOR over a connection. Those that a phone
// has taken to another one are not over it any more.
func (r *Registrar) removeFlowless(aor sipuri.AOR, stream uint64, now time.Time) error {
	_, err := r.removeWhere(aor, journal.StreamGone, now, func(b *location.Binding) bool { return r.isOver(stream, b) })
	return err
}

// removeAllOver removes the bindings over a connection, whichever they are.
func (r *Registrar) removeAllOver(stream uint64) {
	r.location.RemoveIf(func(_ sipuri.AOR, b *location.Binding) bool { return r.isOver(stream, b) }, r.recordFlowless)
}

// RemoveEarlierFlows removes the bindings over connections of an earlier life of the
// daemon: those over which nothing was bound in this one.
func (r *Registrar) RemoveEarlierFlows() {
	r.location.RemoveIf(func(_ sipuri.AOR, b *location.Binding) bool {
		known, _ := r.flows.knows(b.Stream)
		return b.Stream != 0 && !known && r.isHere(b)
	}, r.recordFlowless)
}

func (r *Registrar) recordFlowless(aor sipuri.AOR, b *location.Binding) {
	r.journal.Record(bindingEvent(journal.Removed, journal.StreamGone, aor, b))
}
