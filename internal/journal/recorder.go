package journal

import (
	"cmp"
	"slices"
	"sync"
	"time"
)

// class is a part of the events that is remembered by itself, so that what
// happens often leaves room for what happens seldom.
type class int

const (
	refusals   class = iota
	changes          // of bindings
	routine          // challenges, refreshes and queries
	unanswered       // challenges that have made room there, and had no answer by then
	classes
)

func (e *Event) class() class {
	switch {
	case isRoutine(e.Kind) || e.Reason == StaleNonce:
		return routine
	case e.Kind == Refused:
		return refusals
	}
	return changes
}

func isRoutine(k Kind) bool {
	return k == Refreshed || k == Challenged || k == Listed || k == Redirected
}

// Counts is how many events there were.
type Counts [kinds][reasonCount]uint64

// Of returns how many there were of a kind, whatever the reason.
func (c *Counts) Of(kind Kind) (count uint64) {
	for _, n := range c[kind] {
		count += n
	}
	return count
}

// ByKind returns how many there were of each kind, by its name.
func (c *Counts) ByKind() map[string]uint64 {
	counts := map[string]uint64{}
	for _, kind := range Kinds() {
		counts[kind.String()] = c.Of(kind)
	}
	return counts
}

// ByReason returns how many requests were refused for each reason, by its name;
// those that there were.
func (c *Counts) ByReason() map[string]uint64 {
	counts := map[string]uint64{}
	for _, reason := range Reasons() {
		if n := c[Refused][reason]; n > 0 {
			counts[reason.String()] = n
		}
	}
	return counts
}

// Selective is a journal that does not take all events down, and always the same.
type Selective interface {
	Journal
	Wants(Kind, Reason) bool
}

// Recorder is the journal that numbers events, remembers the last ones, shows
// them to those who watch, and passes them on to the log. It may be used by many
// goroutines at once.
type Recorder struct {
	clock func() time.Time
	log   Journal
	logs  [kinds][reasonCount]bool // what the log takes down

	mu      sync.Mutex // held while the log is written too, so that it has the same order
	seq     uint64
	rings   [classes]ring
	calls   calls
	counts  Counts
	watches []*Watch
}

// NewRecorder returns a recorder that remembers events in so many bytes. Sequence
// numbers go on from those of an earlier life of the daemon, unless the clock has
// gone back, and are exact in JavaScript too.
func NewRecorder(bytes int, clock func() time.Time, log Selective) *Recorder {
	r := &Recorder{clock: clock, log: log, calls: newCalls(), seq: uint64(clock().Unix()) << 20}
	// What comes all the time has the least, so that it stays in the processor's cache.
	r.rings = [classes]ring{
		refusals: newRing(bytes / 32 * 14), changes: newRing(bytes / 32 * 13),
		routine: newRing(bytes / 32), unanswered: newRing(bytes / 32 * 4),
	}
	r.rings[routine].forget = r.keepUnanswered
	for kind := range r.logs {
		for reason := range r.logs[kind] {
			r.logs[kind][reason] = log.Wants(Kind(kind), Reason(reason))
		}
	}
	return r
}

// Record takes an event down.
func (r *Recorder) Record(e Event) {
	r.mu.Lock()
	r.remember(&e)
	if r.logs[e.Kind][e.Reason] {
		r.log.Record(e)
	}
	r.mu.Unlock()
}

func (r *Recorder) remember(e *Event) {
	r.seq++
	e.Seq = r.seq
	if e.Time.IsZero() {
		e.Time = r.clock()
	}
	r.counts[e.Kind][e.Reason]++
	c, class := r.calls.of(e.CallID), e.class()
	r.follow(c)
	r.rings[class].add(e, c)
	if e.Kind == Challenged {
		r.challenge(c)
	}
	for _, w := range r.watches {
		w.wakeFor(class)
	}
}

// Counts returns how many events there were.
func (r *Recorder) Counts() Counts {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.counts
}

// WholeSince returns the time since when all events are remembered, but for what is
// routine; zero: none is forgotten.
func (r *Recorder) WholeSince() (since time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for class := range r.rings {
		ring := &r.rings[class]
		if ring.lost == 0 || class == int(routine) {
			continue
		}
		if oldest := view(ring.bytes(ring.first)).Time; oldest.After(since) {
			since = oldest
		}
	}
	return since
}

// lookAtOnce is how many events are looked at while nobody can record one.
const lookAtOnce = 128

// Last returns the last events that a filter picks, the latest first, and at most
// so many of each class: refusals; changes of bindings; refreshes, challenges and
// queries; and older challenges that nothing has followed.
func (r *Recorder) Last(f Filter, limit int) []Event {
	var found []Event
	for class := range r.rings {
		found = append(found, r.lastOf(&r.rings[class], &f, limit)...)
	}
	slices.SortFunc(found, func(a, b Event) int { return cmp.Compare(b.Seq, a.Seq) })
	// A challenge may have made room in one class and been kept in another meanwhile.
	return slices.CompactFunc(found, func(a, b Event) bool { return a.Seq == b.Seq })
}

func (r *Recorder) lastOf(ring *ring, f *Filter, limit int) (found []Event) {
	for before := r.endOf(ring); before > 0 && len(found) < limit; {
		found, before = r.lookBack(ring, before, f, found, limit)
	}
	return found
}

func (r *Recorder) endOf(ring *ring) uint64 {
	r.mu.Lock()
	defer r.mu.Unlock()
	return ring.next
}

// lookBack looks at some events before a position. It returns the position to go
// on with, 0 at the end.
func (r *Recorder) lookBack(ring *ring, before uint64, f *Filter, found []Event, limit int) ([]Event, uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for range lookAtOnce {
		if before <= ring.first || len(found) == limit {
			return found, 0
		}
		before--
		if ring == &r.rings[unanswered] && ring.slot(before).followed {
			continue
		}
		if e := view(ring.bytes(before)); f.Picks(&e) {
			found = append(found, decode(ring.bytes(before)))
		}
	}
	return found, before
}
