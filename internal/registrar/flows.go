package registrar

import (
	"errors"
	"maps"
	"slices"
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
	bound map[uint64]map[sipuri.AOR]struct{} // by connection
	ended []endedFlow                        // those that ended first stand first
	// crowded are those with so many AORs that some of them may be bound no more: a peer
	// may bind one after the other (aorname = *) and give each up.
	crowded map[uint64]struct{}
}

// crowd is from how many AORs on a connection is looked through; then at twice as many.
const crowd = 64

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
	aors := f.bound[stream]
	if _, known := aors[aor]; known {
		return
	}
	if aors == nil {
		aors = map[sipuri.AOR]struct{}{}
		f.bound[stream] = aors
	}
	aors[aor.Clone()] = struct{}{}
	if n := len(aors); n >= crowd && n&(n-1) == 0 {
		f.crowded[stream] = struct{}{}
	}
}

// takeCrowded takes the connections that are to be looked through.
func (f *flows) takeCrowded() map[uint64]struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.crowded) == 0 {
		return nil
	}
	crowded := f.crowded
	f.crowded = map[uint64]struct{}{}
	return crowded
}

// aorsOf returns a list of its own.
func (f *flows) aorsOf(stream uint64) []sipuri.AOR {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.bound[stream]))
}

// release takes down that an AOR is bound no more over a connection.
func (f *flows) release(stream uint64, aor sipuri.AOR) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.bound[stream], aor)
	if len(f.bound[stream]) == 0 {
		delete(f.bound, stream)
	}
}

// knows tells whether anything was bound over a connection.
func (f *flows) knows(stream uint64) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	_, known := f.bound[stream]
	return known
}

// end takes down that a connection has ended, if anything was bound over it.
func (f *flows) end(stream uint64, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.bound[stream]) > 0 {
		f.ended = append(f.ended, endedFlow{stream, now})
	}
}

// take takes a connection that ended by then, with what was bound over it.
func (f *flows) take(by time.Time) (stream uint64, aors map[sipuri.AOR]struct{}, found bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.ended) == 0 || f.ended[0].at.After(by) {
		return 0, nil, false
	}
	stream = f.ended[0].stream
	aors = f.bound[stream]
	f.ended = f.ended[1:]
	delete(f.bound, stream)
	return stream, aors, true
}

// giveBack undoes take. It is as if the connection had ended just now.
func (f *flows) giveBack(stream uint64, aors map[sipuri.AOR]struct{}, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.bound[stream] = aors
	f.ended = append(f.ended, endedFlow{stream, now})
}

// FlowEnded takes down that a connection has ended. Nothing comes on it any more.
func (r *Registrar) FlowEnded(stream uint64, now time.Time) { r.flows.end(stream, now) }

// RemoveFlowless removes the bindings over connections that have ended, once the grace
// is over in which their phones might have come back. It is meant to be called once a
// second.
func (r *Registrar) RemoveFlowless(now time.Time) {
	for stream := range r.flows.takeCrowded() {
		for _, aor := range r.flows.aorsOf(stream) {
			r.releaseUnbound(stream, aor, now)
		}
	}
	for {
		stream, aors, found := r.flows.take(now.Add(-r.disconnectGrace))
		if !found {
			return
		}
		for aor := range aors {
			if r.removeFlowless(aor, stream, now) == nil {
				delete(aors, aor)
			}
		}
		if len(aors) > 0 { // what cannot be saved is tried again
			r.flows.giveBack(stream, aors, now)
			return
		}
	}
}

var errAsItWas = errors.New("nothing is changed")

// releaseUnbound has an AOR forgotten for a connection where it is not bound over it any
// more. Meanwhile nobody can bind it.
func (r *Registrar) releaseUnbound(stream uint64, aor sipuri.AOR, now time.Time) {
	_ = r.location.Update(aor, now, func(current []location.Binding) ([]location.Binding, error) {
		if !slices.ContainsFunc(current, func(b location.Binding) bool { return b.Stream == stream }) {
			r.flows.release(stream, aor)
		}
		return nil, errAsItWas
	}, nil)
}

// removeFlowless removes the bindings of an AOR over a connection. Those that a phone
// has taken to another one are not over it any more.
func (r *Registrar) removeFlowless(aor sipuri.AOR, stream uint64, now time.Time) error {
	var ended []location.Binding
	return r.location.Update(aor, now, func(current []location.Binding) (kept []location.Binding, err error) {
		for i := range current {
			if current[i].Stream == stream {
				ended = append(ended, current[i])
			} else {
				kept = append(kept, current[i])
			}
		}
		return kept, nil
	}, func(expired []location.Binding) {
		r.recordEnds(journal.Expired, journal.NoLongerRefreshed, aor, expired)
		for i := range ended {
			r.recordFlowless(aor, &ended[i])
		}
	})
}

// RemoveEarlierFlows removes the bindings over connections of an earlier life of the
// daemon: those over which nothing was bound in this one.
func (r *Registrar) RemoveEarlierFlows() {
	r.location.RemoveIf(func(_ sipuri.AOR, b *location.Binding) bool {
		return b.Stream != 0 && !r.flows.knows(b.Stream)
	}, r.recordFlowless)
}

func (r *Registrar) recordFlowless(aor sipuri.AOR, b *location.Binding) {
	r.journal.Record(bindingEvent(journal.Removed, journal.StreamGone, aor, b))
}
