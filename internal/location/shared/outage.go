package shared

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"sipregd/internal/sipuri"
)

const (
	// While Redis is away it is asked so often whether it is back, give or take half
	// of it, so that nodes do not ask all at once.
	awayInterval = 170 * time.Millisecond

	remindInterval = 5 * time.Second // between calls of Observer.NotDurable

	// several operations that have failed, each with another key, are proof enough that
	// nobody is there.
	several = 3
)

// Status is how a store does.
type Status struct {
	Failure error     // why Redis is away; nil: it is not
	Since   time.Time // when that began
}

// Status returns how the store does.
func (s *Store) Status() Status {
	s.mu.Lock()
	defer s.mu.Unlock()
	return Status{s.outage(), s.since}
}

// outage returns why Redis is away, or the part of it that went first, and nil where it is
// there. Store.mu has to be locked.
func (s *Store) outage() error {
	if len(s.lost) == 0 {
		return nil
	}
	err := s.shards.Load().about(s.lost[0], s.lost[0].failure)
	if more := len(s.lost) - 1; more > 0 {
		err = fmt.Errorf("%w (and %d more)", err, more)
	}
	return err
}

// Stale tells whether Redis is away, or a part of it: changes that need it fail at once, and
// what Bindings and All return is what this node saw last, as far as it is there.
func (s *Store) Stale() bool {
	return slices.ContainsFunc(s.shards.Load().all, func(sh *shard) bool { return sh.away.Load() })
}

// StaleOf tells whether that is so of an AOR.
func (s *Store) StaleOf(aor sipuri.AOR) bool { return s.shardOf(keyOf(aor)).away.Load() }

// Away tells whether all of Redis is away.
func (s *Store) Away() bool {
	return !slices.ContainsFunc(s.shards.Load().all, func(sh *shard) bool { return !sh.away.Load() })
}

// fail takes down that an operation failed. Unless that is a matter of its AOR alone, or it
// was given too little time, its shard is asked whether it is there.
func (s *Store) fail(key string, began time.Time, cause error) {
	s.failures.Add(1)
	if isOfKey(cause) {
		s.observer.Trouble(cause)
		return
	}
	if errors.Is(cause, errSlow) && time.Since(began) < s.timeout/3 {
		return // the time went by before it was asked
	}
	s.suspect(s.shardOf(key), key, began, cause)
}

// suspect has a shard asked whether it is there, as an operation has failed that began
// then. It is away at once where several have.
func (s *Store) suspect(sh *shard, key string, began time.Time, cause error) {
	s.mu.Lock()
	isLost := false
	switch {
	case s.closing.Load() || sh.failure != nil || !began.After(sh.healed): // that is over, or nothing new
	case !sh.suspect.Load():
		sh.failed, sh.others = key, 1
		sh.suspect.Store(true)
		s.running.Go(func() { s.nurse(sh) })
	case key != sh.failed:
		sh.others++
		isLost = sh.others >= several
	}
	s.mu.Unlock()
	if isLost {
		s.lose(sh, cause)
	}
}

// nurse asks a shard whether it is there until it is. Unless it answers the first time, and
// that soon, it is away until then.
func (s *Store) nurse(sh *shard) {
	for patience := s.timeout / 2; ; patience = s.timeout {
		asked := time.Now()
		err := s.probe(sh, patience)
		if err == nil {
			err = s.putSecrets(sh)
		}
		if err == nil && s.heal(sh, asked) {
			return
		}
		if err != nil {
			s.lose(sh, err)
		}
		select {
		case <-s.stopping:
			return
		case <-time.After(awayInterval/2 + rand.N(awayInterval)):
		}
	}
}

// lose takes down that a shard is away, and why: that may change while it is.
func (s *Store) lose(sh *shard, cause error) {
	s.mu.Lock()
	first := sh.failure == nil && sh.suspect.Load() && !s.closing.Load()
	if first || sh.failure != nil {
		sh.failure = cause
	}
	if first {
		sh.since = time.Now()
		sh.away.Store(true)
		if len(s.lost) == 0 {
			s.since, s.reminded = sh.since, sh.since
		}
		s.lost = append(s.lost, sh)
		cause = s.shards.Load().about(sh, cause)
	}
	s.mu.Unlock()
	if first {
		s.observer.NotDurable(cause, 0)
	}
}

// heal takes down that a shard is there, unless it went away after it was asked.
func (s *Store) heal(sh *shard, asked time.Time) bool {
	s.mu.Lock()
	wasAway, after := sh.failure != nil, time.Since(sh.since)
	if wasAway && !sh.since.Before(asked) {
		s.mu.Unlock()
		return false
	}
	sh.failure, sh.since, sh.healed = nil, time.Time{}, asked
	sh.away.Store(false)
	sh.suspect.Store(false)
	s.lost = slices.DeleteFunc(s.lost, func(lost *shard) bool { return lost == sh })
	all := len(s.lost) == 0
	if all {
		s.since = time.Time{}
	}
	s.mu.Unlock()
	if wasAway {
		s.observer.Durable(after, all)
		s.resume()
	}
	return true
}

// remind tells from time to time that Redis is away.
func (s *Store) remind() {
	s.mu.Lock()
	cause := s.outage()
	due := cause != nil && time.Since(s.reminded) >= remindInterval
	if due {
		s.reminded = time.Now()
	}
	s.mu.Unlock()
	if due {
		s.observer.NotDurable(cause, 0)
	}
}
