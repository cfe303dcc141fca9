package transport

import (
	"container/list"
	"fmt"
	"net/netip"
	"sync/atomic"
)

const (
	// MaxStreams and MaxStreamsPerSource are how many streams may be open where
	// nobody says otherwise.
	MaxStreams          = 50000
	MaxStreamsPerSource = 500

	// eldest is how many of the oldest strangers are looked at to find one that is of
	// a crowd.
	eldest = 16
)

// Limits bound the streams that are open at once.
type Limits struct {
	Streams   int // in all
	PerSource int // from one IPv4 address, or one /64 of IPv6
	// Trusted tells whose streams count in all alone, as those of a proxy with many
	// phones behind it. nil: nobody's.
	Trusted func(netip.Addr) bool
}

// Limit bounds the streams from now on. It is called before Serve, if at all.
func (s *Server) Limit(l Limits) { s.streams.limits = l }

// Refusals is how many streams were not wanted, by cause.
type Refusals struct {
	Total    uint64 // closed at once: as many as may be were open, and a peer had proved itself on each
	Source   uint64 // likewise, from its source
	MadeRoom uint64 // closed for a newer one, since no peer had proved itself on it yet
	Late     uint64 // closed since no peer had proved itself on it in time
}

// refusals counts what is in Refusals.
type refusals struct{ total, source, madeRoom, late atomic.Uint64 }

func (r *refusals) counts() Refusals {
	return Refusals{Total: r.total.Load(), Source: r.source.Load(), MadeRoom: r.madeRoom.Load(), Late: r.late.Load()}
}

// source is where streams come from.
type source struct {
	open      int
	strangers list.List // of *stream, like streams.strangers
}

// standing is a stream's place among those on which no peer has proved itself yet. It is
// nil in both lists once one has.
type standing struct{ inAll, inSource *list.Element }

// sourceOf returns what stands for all addresses of one source.
func sourceOf(address netip.Addr) netip.Addr {
	address = address.WithZone("")
	if address.Is4() {
		return address
	}
	network, _ := address.Prefix(64)
	return network.Addr()
}

// admit finds a place for a stream. Where there is none, the oldest one that is still a
// stranger's makes room: phones prove themselves within moments, and who just holds
// streams open keeps nobody out. An error says why there is no place.
func (s *streams) admit(st *stream) error {
	address := st.flow.Source.Addr()
	from := s.sources[sourceOf(address)]
	if from != nil && from.open >= s.limits.PerSource && (s.limits.Trusted == nil || !s.limits.Trusted(address)) {
		oldest := from.strangers.Front()
		if oldest == nil {
			s.refusals.source.Add(1)
			return fmt.Errorf("no more streams from %v: it has %d, as many as streams_per_source lets it, and a phone has registered on each", sourceOf(address), from.open)
		}
		s.evict(oldest.Value.(*stream))
	}
	if len(s.open) >= s.limits.Streams && !s.makeRoom() {
		s.refusals.total.Add(1)
		return fmt.Errorf("no stream accepted from %v: %d are open, as many as max_streams lets be, and a phone has registered on each", address, len(s.open))
	}
	return nil
}

// makeRoom closes a stranger's stream, if there is one: among the oldest, one whose source
// has the most of them.
func (s *streams) makeRoom() bool {
	var chosen *stream
	crowd := 0
	for e, n := s.strangers.Front(), 0; e != nil && n < eldest; e, n = e.Next(), n+1 {
		st := e.Value.(*stream)
		if here := s.sources[sourceOf(st.flow.Source.Addr())].strangers.Len(); here > crowd {
			chosen, crowd = st, here
		}
	}
	if chosen == nil {
		return false
	}
	s.evict(chosen)
	return true
}

// evict closes a stream for another one.
func (s *streams) evict(st *stream) {
	s.refusals.madeRoom.Add(1)
	s.forget(st)
	st.conn.Close()
}

// take takes in a stream that there is a place for.
func (s *streams) take(st *stream) {
	key := sourceOf(st.flow.Source.Addr())
	from := s.sources[key]
	if from == nil {
		from = new(source)
		s.sources[key] = from
	}
	from.open++
	st.inAll, st.inSource = s.strangers.PushBack(st), from.strangers.PushBack(st)
	s.open[st.flow.Stream] = st
	s.count.Store(int64(len(s.open)))
}

// forget undoes take, unless that was done.
func (s *streams) forget(st *stream) {
	if s.open[st.flow.Stream] != st {
		return
	}
	s.acquaint(st)
	key := sourceOf(st.flow.Source.Addr())
	from := s.sources[key]
	if from.open--; from.open == 0 {
		delete(s.sources, key)
	}
	delete(s.open, st.flow.Stream)
	s.count.Store(int64(len(s.open)))
}

// acquaint takes a stream from among those of strangers.
func (s *streams) acquaint(st *stream) {
	if st.inAll != nil {
		s.strangers.Remove(st.inAll)
		s.sources[sourceOf(st.flow.Source.Addr())].strangers.Remove(st.inSource)
		st.standing = standing{}
	}
}

// proved takes down that a peer has proved itself on a stream.
func (s *streams) proved(st *stream) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.acquaint(st)
}

// makeRoomNow closes a stranger's stream, if there is one, for want of descriptors.
func (s *streams) makeRoomNow() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.makeRoom()
}
