package location

import (
	"math"
	"time"

	"sipregd/internal/sipuri"
)

// wakes says which AORs, by their hash, to look at in which second. An AOR stands under the
// second in list.wake; where it stands under another one too, that is a leftover
// of an earlier plan and is skipped. A refresh moves nothing: the AOR is looked
// at in its old second and then planned anew.
type wakes struct {
	at   map[int64][]uint64
	done int64 // the seconds up to this one have been looked at
}

func (w *wakes) add(second int64, hash uint64) {
	second = max(second, w.done+1)
	w.at[second] = append(w.at[second], hash)
}

// due takes the AORs of all seconds up to now.
func (w *wakes) due(now int64) []uint64 {
	if w.done == 0 || now-w.done > int64(len(w.at)) {
		return w.dueAfterGap(now)
	}
	var hashes []uint64
	for w.done < now {
		w.done++
		hashes = append(hashes, w.at[w.done]...)
		delete(w.at, w.done)
	}
	return hashes
}

// dueAfterGap does the same when more seconds have gone by than are planned.
func (w *wakes) dueAfterGap(now int64) []uint64 {
	var hashes []uint64
	for second, planned := range w.at {
		if second <= now {
			hashes = append(hashes, planned...)
			delete(w.at, second)
		}
	}
	w.done = now
	return hashes
}

// Expire removes what has expired at now. It is meant to be called once a
// second, and costs as much as there is to look at.
func (m *Memory) Expire(now time.Time, ended Ended) {
	for i := range m.shards {
		m.expire(&m.shards[i], now, ended)
	}
}

func (m *Memory) expire(s *shard, now time.Time, ended Ended) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Unix() < s.wakes.done { // the clock went back
		m.turnBack(s, now)
	}
	for _, hash := range s.wakes.due(now.Unix()) {
		for aor := range s.lists.withHash(hash) {
			m.expireAOR(s, hash, aor, now, ended)
		}
	}
}

func (m *Memory) expireAOR(s *shard, hash uint64, aor sipuri.AOR, now time.Time, ended Ended) {
	l := s.lists.get(hash, aor)
	if l.wake > now.Unix() {
		return
	}
	s.lists.set(hash, aor, []byte(l.bindings), 0) // whatever is left is planned anew
	if !m.removeFrom(s, aor, func(_ sipuri.AOR, b *Binding) bool { return !b.Expires.After(now) }, ended) {
		s.store(aor, l.bindings)
	}
}

// Due returns AORs with bindings that have expired at now, and leaves those as they are:
// somebody else has to say that they are gone. The next second they are due again. Once
// limit is reached it stops, and goes on from there the next time.
func (m *Memory) Due(now time.Time, limit int) (aors []sipuri.AOR) {
	for range shards {
		if len(aors) >= limit {
			break
		}
		aors = m.shards[m.looked.Add(1)%shards].due(now, aors)
	}
	return aors
}

func (s *shard) due(now time.Time, aors []sipuri.AOR) []sipuri.AOR {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Unix() < s.wakes.done { // the clock went back
		s.planAnew(now)
	}
	for _, hash := range s.wakes.due(now.Unix()) {
		for aor := range s.lists.withHash(hash) {
			l := s.lists.get(hash, aor)
			if l.wake > now.Unix() {
				continue
			}
			s.plan(hash, aor, l.bindings)
			if firstExpiry(l.bindings) <= now.Unix() {
				aors = append(aors, aor)
			}
		}
	}
	return aors
}

// planAnew plans all AORs for a clock that has gone back to now.
func (s *shard) planAnew(now time.Time) {
	s.wakes = wakes{at: map[int64][]uint64{}, done: now.Unix() - 1}
	for aor, l := range s.lists.all() {
		s.plan(s.hash(aor), aor, l.bindings)
	}
}

// plan plans an AOR anew, whatever was planned before.
func (s *shard) plan(hash uint64, aor sipuri.AOR, bindings Packed) {
	s.lists.set(hash, aor, []byte(bindings), 0)
	s.store(aor, bindings)
}

// firstExpiry returns the first second in which one of the bindings has expired.
func firstExpiry(bindings Packed) int64 {
	first := int64(math.MaxInt64)
	for r := range bindings.Records() {
		first = min(first, r.Expires)
	}
	return time.Unix(0, first).Unix() + 1
}

// earliest is firstExpiry for bindings that are not packed.
func earliest(bindings []Binding) int64 {
	first := int64(math.MaxInt64)
	for i := range bindings {
		first = min(first, bindings[i].Expires.Unix()+1)
	}
	return first
}

// turnBack does what a clock asks for that has gone back to now: no binding
// lasts longer than it was granted, and all AORs are planned anew.
func (m *Memory) turnBack(s *shard, now time.Time) {
	s.wakes = wakes{at: map[int64][]uint64{}, done: now.Unix() - 1}
	for aor, l := range s.lists.all() {
		hash := s.hash(aor)
		s.lists.set(hash, aor, []byte(l.bindings), 0)
		if bindings, shortened := l.bindings.within(now); shortened {
			m.put(s, hash, aor, list{bindings: l.bindings}, bindings)
		} else {
			s.store(aor, l.bindings)
		}
	}
}

// within returns the bindings as Binding.Within has them, where that makes a
// difference.
func (p Packed) within(now time.Time) (bindings []Binding, shortened bool) {
	for r := range p.Records() {
		shortened = shortened || r.Changed > now.UnixNano()
	}
	if !shortened {
		return nil, false
	}
	bindings = p.unpack()
	for i := range bindings {
		bindings[i] = bindings[i].Within(now)
	}
	return bindings, true
}
