package shared

import (
	"errors"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

const (
	// atOnce is how many AORs are ended at once: phones go in between.
	atOnce = 64

	// maxDue is how many AORs are looked at for expiry in a second, about.
	maxDue = 4096

	// maxOwed bounds the AORs of which is remembered what has to be removed once Redis
	// is back. Of others it expires.
	maxOwed = 100_000
)

// removal is that of one binding, as it was when it was picked: one that was refreshed
// since then stays.
type removal struct {
	id     uint64
	callID string
	cseq   uint32
	ended  location.Ended
}

func removalOf(b *location.Binding, ended location.Ended) removal {
	return removal{b.ID, b.CallID, b.CSeq, ended}
}

func (r *removal) isOf(b *location.Binding) bool {
	return r.isLike(removalOf(b, nil))
}

func (r *removal) isLike(other removal) bool {
	return r.id == other.id && r.cseq == other.cseq && r.callID == other.callID
}

// pick is what RemoveIf was called with.
type pick struct {
	unwanted func(sipuri.AOR, *location.Binding) bool
	ended    location.Ended
}

// RemoveIf removes those bindings that this node took and that unwanted picks: each node
// sees to its own. It returns once that is done. What Redis does not let it remove is
// removed when Redis is back, as far as it is there then. Bindings that this node does not
// remember it looks for in all of Redis.
func (s *Store) RemoveIf(unwanted func(sipuri.AOR, *location.Binding) bool, ended location.Ended) {
	if !s.enter() {
		return
	}
	defer s.running.Done()
	s.removeIf([]pick{{unwanted, ended}})
}

// removeIf removes what one of the picks does, in one go.
func (s *Store) removeIf(picks []pick) {
	removeFrom := func(all iter.Seq2[sipuri.AOR, []location.Binding]) {
		each(s.stopping, func(yield func(removals) bool) {
			for aor, bindings := range all {
				if picked := s.picked(picks, aor, bindings); len(picked) > 0 && !yield(removals{aor, picked}) {
					return
				}
			}
		}, func(r removals) { s.remove(r.aor, r.each) })
	}
	removeFrom(s.remembered())
	if s.adopted.Load() && !s.seen.wasFull.Load() {
		return
	}
	var through through
	removeFrom(func(yield func(sipuri.AOR, []location.Binding) bool) { through, _ = s.scanAll(yield) })
	if !through.isAll() {
		s.owePicks(picks)
	}
}

// removals are those of bindings of one AOR.
type removals struct {
	aor  sipuri.AOR
	each []removal
}

// picked returns the removals of those bindings of this node that one of the picks picks.
func (s *Store) picked(picks []pick, aor sipuri.AOR, bindings []location.Binding) (picked []removal) {
	for i := range bindings {
		b := &bindings[i]
		if b.Node != s.node {
			continue
		}
		if at := slices.IndexFunc(picks, func(p pick) bool { return p.unwanted(aor, b) }); at >= 0 {
			picked = append(picked, removalOf(b, picks[at].ended))
		}
	}
	return picked
}

// maxPicks bounds how many calls of RemoveIf are remembered that did not get to an end.
const maxPicks = 16

var errPicks = errors.New("some bindings that were to be removed while Redis was away stay until they expire")

// owePicks remembers what has to be gone through once more when Redis is back.
func (s *Store) owePicks(picks []pick) {
	s.mu.Lock()
	room := min(len(picks), maxPicks-len(s.picks))
	s.picks = append(s.picks, picks[:room]...)
	s.mu.Unlock()
	if room < len(picks) {
		s.observer.Trouble(errPicks)
	}
}

// enter has Close wait for what is done, until running.Done is called. It fails where the
// store is closed.
func (s *Store) enter() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closing.Load() {
		return false
	}
	s.running.Add(1)
	return true
}

// each has work done for all items, for some of them at once. It leaves some out where
// stopping ends before.
func each[T any](stopping <-chan struct{}, items iter.Seq[T], work func(T)) {
	next := make(chan T)
	var workers sync.WaitGroup
	for range atOnce {
		workers.Go(func() {
			for item := range next {
				work(item)
			}
		})
	}
	defer workers.Wait()
	defer close(next)
	for item := range items {
		select {
		case next <- item:
		case <-stopping:
			return
		}
	}
}

// remove removes bindings of one AOR as far as they are there and this node's.
func (s *Store) remove(aor sipuri.AOR, removals []removal) {
	var removed []location.Binding
	err := s.update(&task{aor: aor, now: time.Now(), keepExpired: true, change: func(current []location.Binding) ([]location.Binding, error) {
		removed = removed[:0]
		var kept []location.Binding
		for _, b := range current {
			if b.Node == s.node && findRemoval(removals, &b) != nil {
				removed = append(removed, b)
			} else {
				kept = append(kept, b)
			}
		}
		return kept, nil
	}, made: func([]location.Binding) {
		for i := range removed {
			if ended := findRemoval(removals, &removed[i]).ended; ended != nil {
				ended(aor, &removed[i])
			}
		}
	}})
	if err != nil {
		s.owe(aor, removals)
	}
}

func findRemoval(removals []removal, of *location.Binding) *removal {
	at := slices.IndexFunc(removals, func(r removal) bool { return r.isOf(of) })
	if at < 0 {
		return nil
	}
	return &removals[at]
}

// owe remembers what is to be removed once Redis is back, each but once.
func (s *Store) owe(aor sipuri.AOR, removals []removal) {
	s.mu.Lock()
	owed, found := s.owed[aor]
	if !found && len(s.owed) >= maxOwed {
		s.mu.Unlock()
		s.observer.Trouble(errPicks)
		return
	}
	defer s.mu.Unlock()
	for _, r := range removals {
		if !slices.ContainsFunc(owed, r.isLike) {
			owed = append(owed, r)
		}
	}
	s.owed[aor.Clone()] = owed
}

// resume removes what could not be removed before. The store does not wait for that. What
// is left when it is closed expires.
func (s *Store) resume() {
	s.mu.Lock()
	owed, picks := s.owed, s.picks
	s.owed, s.picks = map[sipuri.AOR][]removal{}, nil
	s.mu.Unlock()
	if len(owed) == 0 && len(picks) == 0 {
		return
	}
	s.running.Go(func() {
		if len(picks) > 0 {
			s.removeIf(picks)
		}
		each(s.stopping, maps.Keys(owed), func(aor sipuri.AOR) { s.remove(aor, owed[aor]) })
	})
}

// Expire ends those bindings that this node took, and remembers, and that Redis says have
// expired, with what else of their AORs has. It does not wait for Redis: ended is told
// later. AORs with nothing but other nodes' are forgotten in silence: those nodes end them.
func (s *Store) Expire(_ time.Time, ended location.Ended) {
	if ended == nil {
		ended = func(sipuri.AOR, *location.Binding) {}
	}
	if s.Away() || !s.ending.CompareAndSwap(false, true) {
		return
	}
	due := s.seen.Due(s.clock.now(), maxDue)
	if len(due) == 0 {
		s.ending.Store(false)
		return
	}
	s.running.Go(func() {
		defer s.ending.Store(false)
		each(s.stopping, slices.Values(due), func(aor sipuri.AOR) { s.expire(aor, ended) })
	})
}

// expire ends the bindings of an AOR that have expired.
func (s *Store) expire(aor sipuri.AOR, ended location.Ended) {
	own := s.expiredHere(aor)
	if len(own) == 0 {
		s.forgetExpired(aor)
		return
	}
	now := time.Now()
	var there []location.Binding
	_ = s.update(&task{aor: aor, now: now, change: func(current []location.Binding) ([]location.Binding, error) {
		there = current
		return current, nil
	}, made: func(expired []location.Binding) {
		for i := range expired { // those of other nodes too: who removes one tells so
			ended(aor, &expired[i])
		}
		for i := range own {
			b := &own[i]
			gone := find(expired, b.ID) == nil && find(there, b.ID) == nil
			if gone && now.Sub(b.Expires) > grace { // else who has removed it has told so
				ended(aor, b)
			}
		}
	}})
}

// expiredHere returns the bindings of this node that have expired by what was seen last,
// with the times of this machine's clock.
func (s *Store) expiredHere(aor sipuri.AOR) (own []location.Binding) {
	redis := s.clock.now()
	t := task{ahead: redis.Sub(time.Now().Round(0).UTC())}
	_, expired := t.split(s.seen.Look(aor), redis)
	return slices.DeleteFunc(expired, func(b location.Binding) bool { return b.Node != s.node })
}

// forgetExpired forgets bindings of other nodes that have expired. It leaves them where
// they stand: who changes the AOR next sees them there, and tells that they have expired.
func (s *Store) forgetExpired(aor sipuri.AOR) {
	stripe, hash := s.seen.of(aor)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	redis := s.clock.now()
	left := slices.DeleteFunc(s.seen.Look(aor), func(b location.Binding) bool {
		return b.Node != s.node && !b.Expires.After(redis)
	})
	s.seen.keep(stripe, hash, aor, version{}, left)
}
