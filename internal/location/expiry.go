package location

import (
	"math"
	"time"

	"sipregd/internal/sipuri"
)

// wakes says which AORs to look at in which second. An AOR stands under the
// second in list.wake; where it stands under another one too, that is a leftover
// of an earlier plan and is skipped. A refresh moves nothing: the AOR is looked
// at in its old second and then planned anew.
type wakes struct {
	at   map[int64][]sipuri.AOR
	done int64 // the seconds up to this one have been looked at
}

func (w *wakes) add(second int64, aor sipuri.AOR) {
	second = max(second, w.done+1)
	w.at[second] = append(w.at[second], aor)
}

// due takes the AORs of all seconds up to now.
func (w *wakes) due(now int64) []sipuri.AOR {
	if w.done == 0 || now-w.done > int64(len(w.at)) {
		return w.dueAfterGap(now)
	}
	var aors []sipuri.AOR
	for w.done < now {
		w.done++
		aors = append(aors, w.at[w.done]...)
		delete(w.at, w.done)
	}
	return aors
}

// dueAfterGap does the same when more seconds have gone by than are planned.
func (w *wakes) dueAfterGap(now int64) []sipuri.AOR {
	var aors []sipuri.AOR
	for second, planned := range w.at {
		if second <= now {
			aors = append(aors, planned...)
			delete(w.at, second)
		}
	}
	w.done = now
	return aors
}

// Expire removes what has expired at now and returns it. It is meant to be
// called once a second, and costs as much as there is to look at.
func (m *Memory) Expire(now time.Time) []Entry {
	var expired []Entry
	for i := range m.shards {
		expired = append(expired, m.expire(&m.shards[i], now)...)
	}
	return expired
}

func (m *Memory) expire(s *shard, now time.Time) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Unix() < s.wakes.done { // the clock went back
		m.turnBack(s, now)
	}
	var expired []Entry
	for _, aor := range s.wakes.due(now.Unix()) {
		l, bound := s.lists[aor]
		if !bound || l.wake > now.Unix() {
			continue
		}
		l.wake = 0 // whatever is left is planned anew
		s.lists[aor] = l
		removed := m.removeFrom(s, aor, func(_ sipuri.AOR, b *Binding) bool { return !b.Expires.After(now) })
		expired = append(expired, removed...)
		if len(removed) == 0 {
			s.store(aor, l.bindings)
		}
	}
	return expired
}

// firstExpiry returns the first second in which one of the bindings has expired.
func firstExpiry(bindings Packed) int64 {
	first := int64(math.MaxInt64)
	for r := range bindings.Records() {
		first = min(first, r.Expires)
	}
	return time.Unix(0, first).Unix() + 1
}

// turnBack does what a clock asks for that has gone back to now: no binding
// lasts longer than it was granted, and all AORs are planned anew.
func (m *Memory) turnBack(s *shard, now time.Time) {
	s.wakes = wakes{at: map[int64][]sipuri.AOR{}, done: now.Unix() - 1}
	for aor, l := range s.lists {
		s.lists[aor] = list{bindings: l.bindings}
		if bindings, shortened := l.bindings.within(now); shortened {
			m.put(s, aor, bindings)
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
