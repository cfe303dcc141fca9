package shared

import (
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Bindings returns what an AOR is bound to at that time: by Redis, or, while it is
// away, by what this node saw last.
func (s *Store) Bindings(aor sipuri.AOR, now time.Time) []location.Binding {
	bindings, _ := s.Lookup(aor, now)
	return bindings
}

// Lookup is Bindings, and tells whether that is what this node saw last alone.
func (s *Store) Lookup(aor sipuri.AOR, now time.Time) (bindings []location.Binding, stale bool) {
	key := keyOf(aor)
	if shard := s.shardOf(key); !shard.away.Load() {
		r, err := s.ask(s.deadlineOf(shard, time.Now()), key, []string{neverTheVersion})
		if err == nil {
			return s.at(now, r.bindings), false
		}
	}
	return s.at(now, s.seen.Look(aor)), true
}

// at returns those bindings that are valid, with the times of a clock that says now.
func (s *Store) at(now time.Time, bindings []location.Binding) []location.Binding {
	redis := s.clock.now()
	t := task{ahead: redis.Sub(now.Round(0).UTC())}
	valid, _ := t.split(bindings, redis)
	return valid
}
