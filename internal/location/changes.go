package location

import "sipregd/internal/sipuri"

// fewChanges is how many AORs of a shard one map of changes is used again for.
const fewChanges = 128

// Change is what has become of an AOR's bindings since changes were last taken.
type Change struct {
	AOR           sipuri.AOR
	Before, After Packed
	restored      Packed
}

// base is what an AOR was bound to when changes were last taken, and what of
// that UndoChanges brings back: not what has expired or was taken from a peer
// meanwhile.
type base struct {
	stored, restored Packed
	// after is what it is bound to now, where known says so: after one change,
	// as a rule, and then TakeChanges need not look it up.
	after Packed
	known bool
}

// Track makes the store take down from now on what changes.
func (m *Memory) Track() {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		s.before = map[sipuri.AOR]base{}
		s.mu.Unlock()
	}
}

// Changed tells whether there are changes to take.
func (m *Memory) Changed() bool { return m.unsaved.Load() != 0 }

// TakeChanges appends to room what has changed and was not taken yet, one Change
// for an AOR, until there are limit of them. There may be more to take.
func (m *Memory) TakeChanges(room []Change, limit int) (changes []Change, more bool) {
	changes = room
	for i := range m.shards {
		s := &m.shards[i]
		if m.unsaved.Load()&s.bit == 0 {
			continue
		}
		if len(changes) >= limit {
			return changes, true
		}
		changes = m.takeFrom(s, changes, limit)
	}
	return changes, m.Changed()
}

func (m *Memory) takeFrom(s *shard, changes []Change, limit int) []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	all := len(changes)+len(s.before) <= limit
	s.crowded = s.crowded || len(s.before) > fewChanges
	for aor, before := range s.before {
		if len(changes) >= limit {
			return changes
		}
		changes = append(changes, Change{aor, before.stored, s.after(aor, before), before.restored})
		if !all {
			delete(s.before, aor)
		}
	}
	if s.crowded { // to clear it would take long from now on
		s.before, s.crowded = map[sipuri.AOR]base{}, false
	}
	clear(s.before)
	m.unsaved.And(^s.bit)
	return changes
}

func (s *shard) after(aor sipuri.AOR, b base) Packed {
	if b.known {
		return b.after
	}
	return s.bindings(aor)
}

// ReturnChanges undoes TakeChanges: what was taken is yet to be taken again,
// with what has changed meanwhile.
func (m *Memory) ReturnChanges(changes []Change) {
	for i := range changes {
		s := m.shard(changes[i].AOR)
		s.mu.Lock()
		s.before[changes[i].AOR] = base{stored: changes[i].Before, restored: changes[i].restored}
		m.unsaved.Or(s.bit)
		s.mu.Unlock()
	}
}

// UndoChanges brings all AORs with changes to take back to what they were
// bound to before. The changes, of nothing now, are still to be taken.
func (m *Memory) UndoChanges() {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for aor, before := range s.before {
			s.store(aor, before.restored)
			before.after, before.known = "", false
			s.before[aor] = before
		}
		s.mu.Unlock()
	}
}

// MarkAll makes changes of all bindings, as if nothing had been bound when
// changes were last taken.
func (m *Memory) MarkAll() {
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for aor, l := range s.lists.all() {
			s.before[aor] = base{stored: "", restored: l.bindings}
			m.unsaved.Or(s.bit)
		}
		s.mu.Unlock()
	}
}

// CountChanges returns how many AORs have changes to take that make a
// difference.
func (m *Memory) CountChanges() int {
	count := 0
	for i := range m.shards {
		s := &m.shards[i]
		s.mu.Lock()
		for aor, before := range s.before {
			if before.stored != s.bindings(aor) {
				count++
			}
		}
		s.mu.Unlock()
	}
	return count
}
