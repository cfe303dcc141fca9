package shared

import (
	"slices"
	"sync/atomic"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Adopt takes in what this node has bound in an earlier life, as it does what it binds
// itself, and returns once it has gone through all of Redis.
func (s *Store) Adopt() error {
	if !s.enter() {
		return errStarted
	}
	defer s.running.Done()
	if s.Stale() {
		return location.ErrNotDurable
	}
	var through through
	var failed atomic.Bool
	each(s.stopping, func(yield func(sipuri.AOR) bool) {
		through, _ = s.scanAll(func(aor sipuri.AOR, bindings []location.Binding) bool {
			return !slices.ContainsFunc(bindings, s.isOwn) || yield(aor)
		})
	}, func(aor sipuri.AOR) {
		if s.adopt(aor) != nil {
			failed.Store(true)
		}
	})
	if !through.isAll() || failed.Load() || s.closing.Load() {
		return errPart
	}
	s.adopted.Store(true)
	return nil
}

// adopt sees what an AOR is bound to, unless that is known.
func (s *Store) adopt(aor sipuri.AOR) error {
	stripe, hash := s.seen.of(aor)
	stripe.mu.Lock()
	defer stripe.mu.Unlock()
	if s.seen.state(stripe, hash, aor).version != "" {
		return nil
	}
	key := keyOf(aor)
	r, err := s.ask(s.deadlineOf(s.shardOf(key), time.Now()), key, []string{neverTheVersion})
	if err == nil {
		s.seen.take(stripe, hash, aor, state{version: r.version, bindings: r.bindings})
	}
	return err
}
