package location

import (
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
		expired = append(expired, m.shards[i].expire(now)...)
	}
	return expired
}

func (s *shard) expire(now time.Time) []Entry {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now.Unix() < s.wakes.done { // the clock went back
		s.planAnew(now.Unix())
	}
	var expired []Entry
	for _, aor := range s.wakes.due(now.Unix()) {
		l := s.lists[aor]
		if l == nil || l.wake > now.Unix() {
			continue
		}
		l.wake = 0
		removed := s.removeFrom(aor, l, func(_ sipuri.AOR, b *Binding) bool { return !b.Expires.After(now) })
		expired = append(expired, removed...)
		if len(removed) == 0 {
			s.put(aor, l.bindings) // plans it anew
		}
	}
	return expired
}

// firstExpiry returns the first second in which one of the bindings has expired.
func firstExpiry(bindings []Binding) int64 {
	first := bindings[0].Expires
	for i := range bindings {
		if bindings[i].Expires.Before(first) {
			first = bindings[i].Expires
		}
	}
	return first.Unix() + 1
}

// planAnew plans all AORs by a clock that says now.
func (s *shard) planAnew(now int64) {
	s.wakes = wakes{at: map[int64][]sipuri.AOR{}, done: now - 1}
	for aor, l := range s.lists {
		l.wake = 0
		s.put(aor, l.bindings)
	}
}
