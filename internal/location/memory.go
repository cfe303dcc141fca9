package location

import (
	"hash/maphash"
	"iter"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"sipregd/internal/sipuri"
)

// shards keep phones of different AORs out of each other's way. There are as
// many as a word has bits.
const shards = 64

// Memory keeps bindings in memory. It may be used by many goroutines at once.
type Memory struct {
	seed   maphash.Seed // of the hash of AORs, by which all is found
	lastID atomic.Uint64
	shards [shards]shard
	// unsaved has a bit for each shard in which there are changes to take.
	unsaved atomic.Uint64
	looked  atomic.Uint32 // shards that Due has looked at
}

type shard struct {
	seed  maphash.Seed
	mu    sync.Mutex
	lists table
	wakes wakes
	room  []Binding // for the bindings of one AOR at a time
	// before holds, for each AOR that has changed since changes were last
	// taken, what it was bound to then. It is nil where nobody takes them.
	before  map[sipuri.AOR]base
	crowded bool   // before has held many
	bit     uint64 // of the shard in unsaved
}

// NewMemory returns an empty store. IDs begin with the time, so that none is
// used again in another life of the daemon.
func NewMemory(now time.Time) *Memory {
	m := &Memory{seed: maphash.MakeSeed()}
	m.lastID.Store(uint64(now.UnixNano()))
	for i := range m.shards {
		s := &m.shards[i]
		s.seed, s.lists, s.bit = m.seed, newTable(), 1<<i
		s.wakes = wakes{at: map[int64][]uint64{}}
	}
	return m
}

func (m *Memory) hash(aor sipuri.AOR) uint64 { return maphash.Comparable(m.seed, aor) }

func (m *Memory) shard(aor sipuri.AOR) *shard { return m.shardOf(m.hash(aor)) }

func (m *Memory) shardOf(hash uint64) *shard { return &m.shards[hash%shards] }

// Update shows change the current bindings of an AOR, without those that have
// expired at now, and stores what it returns. Nothing else touches the AOR
// meanwhile. After an error of change, which Update returns, all is as before.
// Else made is called, with those that had expired and go now; nil: it is not.
// Neither must alter a slice that it is given, nor keep it, and change returns
// one of its own. Texts that they are given are good until they return; those
// that change returns, and the AOR's, are copied.
func (m *Memory) Update(aor sipuri.AOR, now time.Time, change func(current []Binding) ([]Binding, error),
	made func(expired []Binding)) error {
	hash := m.hash(aor)
	s := m.shardOf(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	before := s.lists.view(hash, aor)
	s.room = before.bindings.unpackTo(s.room[:0])
	current, expired := split(s.room, now)
	next, err := change(current)
	if err != nil {
		return err
	}
	m.name(next)
	if made != nil {
		made(expired)
	}
	m.put(s, hash, aor, before, next)
	return nil
}

// Replace stores what an AOR is bound to from now on, whatever it was bound to before.
// Each binding has an ID. The texts are copied.
func (m *Memory) Replace(aor sipuri.AOR, bindings []Binding) {
	hash := m.hash(aor)
	s := m.shardOf(hash)
	s.mu.Lock()
	defer s.mu.Unlock()
	m.put(s, hash, aor, s.lists.view(hash, aor), bindings)
}

// name gives each binding that has none an ID.
func (m *Memory) name(bindings []Binding) {
	for i := range bindings {
		if bindings[i].ID == 0 {
			bindings[i].ID = m.lastID.Add(1)
		}
	}
}

// Load adds a binding that was stored before this Memory was made. Where the
// same one is there, or one of the same phone to the same Contact, that which was
// changed last stays.
func (m *Memory) Load(entry Entry) {
	m.Reserve(entry.Binding.ID)
	s := m.shard(entry.AOR)
	s.mu.Lock()
	defer s.mu.Unlock()
	if there := s.bindings(entry.AOR); there == "" { // as a rule
		s.store(entry.AOR, pack([]Binding{entry.Binding}))
	} else {
		s.store(entry.AOR, pack(merge(there.unpack(), entry.Binding)))
	}
	if before, changed := s.before[entry.AOR]; changed { // by a phone that came first
		s.before[entry.AOR] = base{
			stored:   pack(append(before.stored.unpack(), entry.Binding)),
			restored: pack(merge(before.restored.unpack(), entry.Binding)),
		}
	}
}

// LoadRemoved takes down that a binding was stored before this Memory was made
// and is there no more: a change to take.
func (m *Memory) LoadRemoved(entry Entry) {
	m.Reserve(entry.Binding.ID)
	s := m.shard(entry.AOR)
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.bindings(entry.AOR)
	before, changed := s.before[entry.AOR]
	if !changed {
		before = base{stored: now, restored: now}
	}
	before.stored = pack(append(before.stored.unpack(), entry.Binding))
	s.before[entry.AOR] = before
	m.unsaved.Or(s.bit)
}

// merge adds a binding to a list in its order of change.
func merge(bindings []Binding, next Binding) []Binding {
	same := slices.IndexFunc(bindings, func(b Binding) bool { return b.ID == next.ID || b.IsLike(&next) })
	switch {
	case same < 0:
		bindings = append(bindings, next)
	case bindings[same].Changed.Before(next.Changed):
		bindings[same] = next
	}
	slices.SortStableFunc(bindings, func(a, b Binding) int { return a.Changed.Compare(b.Changed) })
	return bindings
}

// Reserve sees to it that no ID up to this one is given to another binding.
func (m *Memory) Reserve(id uint64) {
	for last := m.lastID.Load(); last < id && !m.lastID.CompareAndSwap(last, id); last = m.lastID.Load() {
	}
}

// Bindings returns what an AOR is bound to at that time.
func (m *Memory) Bindings(aor sipuri.AOR, now time.Time) []Binding {
	s := m.shard(aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	current, _ := split(s.bindings(aor).unpack(), now)
	return current
}

// Look returns what an AOR is bound to, expired bindings too.
func (m *Memory) Look(aor sipuri.AOR) []Binding {
	s := m.shard(aor)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bindings(aor).unpack()
}

// Count returns how many AORs are bound, and to how many Contacts in all.
func (m *Memory) Count() (aors, bindings int) {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		aors += s.lists.count
		for _, l := range s.lists.all() {
			bindings += l.bindings.Len()
		}
		s.mu.Unlock()
	}
	return aors, bindings
}

// Ended is told of a binding that a store has ended, before anything else can
// happen to its AOR. It must not use the store. nil: nobody is told.
type Ended func(sipuri.AOR, *Binding)

// All yields the AORs and what each is bound to, expired bindings too, in no
// order and not of one moment. The slice is good until the next one is yielded,
// its texts for good. Phones go first wherever no lock is held.
func (m *Memory) All() iter.Seq2[sipuri.AOR, []Binding] {
	return func(yield func(sipuri.AOR, []Binding) bool) {
		var room []Binding
		for i := range m.shards {
			for _, l := range m.shards[i].copy() {
				room = l.bindings.unpackTo(room[:0])
				if !yield(l.aor, room) {
					return
				}
			}
			runtime.Gosched()
		}
	}
}

// bound is what an AOR is bound to.
type bound struct {
	aor      sipuri.AOR
	bindings Packed
}

func (s *shard) copy() []bound {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := make([]bound, 0, s.lists.count)
	for aor, l := range s.lists.all() {
		all = append(all, bound{aor, l.bindings})
	}
	return all
}

// RemoveIf removes each binding that unwanted picks. It goes through all: phones
// go first wherever no lock is held.
func (m *Memory) RemoveIf(unwanted func(sipuri.AOR, *Binding) bool, ended Ended) {
	for i := range m.shards {
		m.removeIf(&m.shards[i], unwanted, ended)
		runtime.Gosched()
	}
}

func (m *Memory) removeIf(s *shard, unwanted func(sipuri.AOR, *Binding) bool, ended Ended) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for aor := range s.lists.all() {
		m.removeFrom(s, aor, unwanted, ended)
	}
	for aor, b := range s.before {
		b.restored = pack(slices.DeleteFunc(b.restored.unpack(), func(b Binding) bool { return unwanted(aor, &b) }))
		s.before[aor] = b
	}
}

// removeFrom removes bindings of one AOR and tells whether there were any.
func (m *Memory) removeFrom(s *shard, aor sipuri.AOR, unwanted func(sipuri.AOR, *Binding) bool, ended Ended) (removed bool) {
	var kept []Binding
	for _, b := range s.bindings(aor).unpack() {
		if !unwanted(aor, &b) {
			kept = append(kept, b)
			continue
		}
		removed = true
		if ended != nil {
			ended(aor, &b)
		}
	}
	if removed {
		hash := s.hash(aor)
		m.put(s, hash, aor, s.lists.view(hash, aor), kept)
	}
	return removed
}

// put stores an AOR's bindings where there was another list before, and takes
// down that they have changed.
func (m *Memory) put(s *shard, hash uint64, aor sipuri.AOR, before list, bindings []Binding) {
	var space [1024]byte
	packed := appendPacked(space[:0], bindings)
	if string(packed) == string(before.bindings) {
		return
	}
	if s.before != nil {
		m.takeDown(s, aor, before.clone().bindings, packed)
	}
	s.keep(hash, aor, before.wake, packed, earliest(bindings))
}

// takeDown takes down that an AOR is bound to something else than before.
func (m *Memory) takeDown(s *shard, aor sipuri.AOR, before Packed, after []byte) {
	switch b, changed := s.before[aor]; {
	case !changed:
		s.before[aor.Clone()] = base{stored: before, restored: before, after: Packed(after), known: true}
		m.unsaved.Or(s.bit)
	case b.known:
		s.before[aor.Clone()] = base{stored: b.stored, restored: b.restored} // a map takes the new key for an equal one
	}
}

// store stores an AOR's bindings.
func (s *shard) store(aor sipuri.AOR, bindings Packed) {
	hash := s.hash(aor)
	s.keep(hash, aor, s.lists.get(hash, aor).wake, []byte(bindings), firstExpiry(bindings))
}

// keep stores a list and sees to it that the first binding to expire is looked
// at in time: at wake, if that is early enough.
func (s *shard) keep(hash uint64, aor sipuri.AOR, wake int64, bindings []byte, first int64) {
	if len(bindings) > 0 && (wake == 0 || first < wake) {
		wake = first
		s.wakes.add(first, hash)
	}
	s.lists.set(hash, aor, bindings, wake)
}

func (s *shard) hash(aor sipuri.AOR) uint64 { return maphash.Comparable(s.seed, aor) }

func (s *shard) bindings(aor sipuri.AOR) Packed { return s.lists.get(s.hash(aor), aor).bindings }

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
