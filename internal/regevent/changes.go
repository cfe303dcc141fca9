package regevent

import (
	"hash/maphash"
	"sync"
	"sync/atomic"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/sipuri"
)

const (
	// shards keep those who register different AORs out of each other's way.
	shards = 64

	// maxEndings is how many bindings are remembered of an AOR that have ended of late,
	// with what ended them.
	maxEndings = 16
)

// changes knows which addresses-of-record are watched, and what has changed of them since
// that was last taken. Those who register tell it, and wait for nobody.
type changes struct {
	watched atomic.Int64 // AORs
	seed    maphash.Seed
	shards  *[shards]changesShard
}

type changesShard struct {
	mu      sync.Mutex
	aors    map[sipuri.AOR]*change
	changed []*change // those that are not yet taken
}

// change is what has changed of an AOR.
type change struct {
	aor     sipuri.AOR
	pending bool // it stands in changed
	endings []ending
}

// ending is what ended a binding. It is known by a hash of its Contact and Call-ID.
type ending struct {
	binding uint64
	event   event
	taken   time.Time
}

func newChanges() *changes {
	c := &changes{seed: maphash.MakeSeed(), shards: new([shards]changesShard)}
	for i := range c.shards {
		c.shards[i].aors = map[sipuri.AOR]*change{}
	}
	return c
}

func (c *changes) shard(aor sipuri.AOR) *changesShard {
	return &c.shards[maphash.Comparable(c.seed, aor)%shards]
}

// bindingOf returns the hash by which a binding is known.
func (c *changes) bindingOf(contact, callID string) uint64 {
	return maphash.Comparable(c.seed, [2]string{contact, callID})
}

// watch has changes of an AOR taken down from now on. It keeps the AOR.
func (c *changes) watch(aor sipuri.AOR) {
	s := c.shard(aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.aors[aor] = &change{aor: aor}
	c.watched.Add(1)
}

func (c *changes) unwatch(aor sipuri.AOR) {
	s := c.shard(aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.aors, aor)
	c.watched.Add(-1)
}

// note takes down what an event tells of the bindings of an AOR, if that is watched. It
// tells whether that is to be taken now. Of the event nothing is kept.
func (c *changes) note(e *journal.Event) (isNews bool) {
	if c.watched.Load() == 0 { // as a rule
		return false
	}
	s := c.shard(e.AOR)
	s.mu.Lock()
	defer s.mu.Unlock()
	known := s.aors[e.AOR]
	if known == nil {
		return false
	}
	if ended := eventOf(e); ended.terminates() {
		if len(known.endings) == maxEndings {
			known.endings = known.endings[1:]
		}
		known.endings = append(known.endings, ending{binding: c.bindingOf(e.Contact, e.CallID), event: ended})
	}
	return s.put(known)
}

// touch takes down that an AOR may have changed, if that is watched.
func (c *changes) touch(aor sipuri.AOR) {
	s := c.shard(aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	if known := s.aors[aor]; known != nil {
		s.put(known)
	}
}

// put has a change taken. It tells whether that is news. The shard has to be locked.
func (s *changesShard) put(known *change) (isNews bool) {
	isNews = !known.pending
	if isNews {
		known.pending = true
		s.changed = append(s.changed, known)
	}
	return isNews
}

// take calls do with each AOR that has changed. do must not use changes.
func (c *changes) take(do func(aor sipuri.AOR, endings []ending)) {
	if c.watched.Load() == 0 {
		return
	}
	for i := range c.shards {
		for _, taken := range c.shards[i].take() {
			do(taken.aor, taken.endings)
		}
	}
}

func (s *changesShard) take() (taken []change) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, changed := range s.changed {
		taken = append(taken, *changed)
		changed.pending, changed.endings = false, nil
	}
	clear(s.changed)
	s.changed = s.changed[:0]
	return taken
}

// watching is a journal of which a notifier sees what becomes of bindings.
type watching struct {
	journal.Journal
	notifier *Notifier
}

// Watching returns the journal that the registrar is to tell: it passes all on. Events of
// an AOR come within the change of its bindings, in their order.
func (n *Notifier) Watching(next journal.Journal) journal.Journal { return watching{next, n} }

// Record takes an event down.
func (w watching) Record(e journal.Event) {
	if changesBindings(&e) && w.notifier.changes.note(&e) {
		w.notifier.rouse()
	}
	w.Journal.Record(e)
}

// changesBindings tells whether an event is of a binding, or of changes that were undone.
func changesBindings(e *journal.Event) bool {
	switch e.Kind {
	case journal.Added, journal.Refreshed, journal.Removed, journal.Replaced, journal.Expired:
		return true
	case journal.Refused:
		return e.Reason == journal.StoreFailed
	}
	return false
}
