package location

import (
	"hash/maphash"
	"sync"
	"time"

	"sipregd/internal/sipuri"
)

// shards keep phones of different AORs out of each other's way.
const shards = 64

// Memory keeps bindings in memory. It may be used by many goroutines at once.
type Memory struct {
	seed   maphash.Seed
	shards [shards]shard
}

type shard struct {
	mu    sync.Mutex
	lists map[sipuri.AOR]*list
	wakes wakes
}

// list is what one AOR is bound to, oldest change first.
type list struct {
	bindings []Binding
	wake     int64 // the second at which the AOR is looked at for expiry
}

// NewMemory returns an empty store.
func NewMemory() *Memory {
	m := &Memory{seed: maphash.MakeSeed()}
	for i := range m.shards {
		m.shards[i].lists = map[sipuri.AOR]*list{}
		m.shards[i].wakes = wakes{at: map[int64][]sipuri.AOR{}}
	}
	return m
}

func (m *Memory) shard(aor sipuri.AOR) *shard {
	return &m.shards[maphash.Comparable(m.seed, aor)%shards]
}

// Update shows change the current bindings of an AOR, without those that have
// expired at now, and stores what it returns. Nothing else touches the AOR
// meanwhile. After an error of change, which Update returns, all is as before.
// change must not alter the slice that it is given, and return one of its own.
func (m *Memory) Update(aor sipuri.AOR, now time.Time, change func(current []Binding) ([]Binding, error)) error {
	s := m.shard(aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	var current, expired []Binding
	if l := s.lists[aor]; l != nil {
		current, expired = split(l.bindings, now)
	}
	next, err := change(current)
	if err != nil {
		return err
	}
	s.put(aor, append(next, expired...)) // Expire takes and reports them
	return nil
}

// Bindings returns what an AOR is bound to at that time.
func (m *Memory) Bindings(aor sipuri.AOR, now time.Time) []Binding {
	s := m.shard(aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lists[aor]
	if l == nil {
		return nil
	}
	current, _ := split(l.bindings, now)
	return append([]Binding(nil), current...)
}

// Count returns how many AORs are bound, and to how many Contacts in all.
func (m *Memory) Count() (aors, bindings int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		aors += len(s.lists)
		for _, l := range s.lists {
			bindings += len(l.bindings)
		}
		s.mu.Unlock()
	}
	return aors, bindings
}

// RemoveIf removes each binding that unwanted picks and returns them.
func (m *Memory) RemoveIf(unwanted func(sipuri.AOR, *Binding) bool) []Entry {
	var removed []Entry
	for i := range m.shards {
		removed = append(removed, m.shards[i].removeIf(unwanted)...)
	}
	return removed
}

func (s *shard) removeIf(unwanted func(sipuri.AOR, *Binding) bool) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	var removed []Entry
	for aor, l := range s.lists {
		removed = append(removed, s.removeFrom(aor, l, unwanted)...)
	}
	return removed
}

func (s *shard) removeFrom(aor sipuri.AOR, l *list, unwanted func(sipuri.AOR, *Binding) bool) []Entry {
	var kept []Binding
	var removed []Entry
	for i := range l.bindings {
		if b := &l.bindings[i]; unwanted(aor, b) {
			removed = append(removed, Entry{aor, *b})
		} else {
			kept = append(kept, *b)
		}
	}
	if removed != nil {
		s.put(aor, kept)
	}
	return removed
}

// put stores an AOR's bindings and sees to it that the first to expire is
// looked at in time.
func (s *shard) put(aor sipuri.AOR, bindings []Binding) {
	if len(bindings) == 0 {
		delete(s.lists, aor)
		return
	}
	l := s.lists[aor]
	if l == nil {
		l = &list{}
		s.lists[aor] = l
	}
	l.bindings = bindings
	if first := firstExpiry(bindings); l.wake == 0 || first < l.wake {
		l.wake = first
		s.wakes.add(first, aor)
	}
}

// split tells the bindings that are valid at now from those that have expired.
func split(bindings []Binding, now time.Time) (valid, expired []Binding) {
	for i := range bindings {
		if !bindings[i].Expires.After(now) {
			expired = append(expired, bindings[i])
		}
	}
	if expired == nil { // as a rule, and then nothing is copied
		return bindings, nil
	}
	for i := range bindings {
		if bindings[i].Expires.After(now) {
			valid = append(valid, bindings[i])
		}
	}
	return valid, expired
}
