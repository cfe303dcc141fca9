package shared

import (
	"iter"
	"slices"
	"time"

	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Own yields the AORs with bindings that this node took, and what each is bound to: as this
// node saw them last, where it remembers them all.
func (s *Store) Own() iter.Seq2[sipuri.AOR, []location.Binding] {
	all := s.remembered()
	if s.seen.wasFull.Load() {
		all = s.All()
	}
	return func(yield func(sipuri.AOR, []location.Binding) bool) {
		for aor, bindings := range all {
			if slices.ContainsFunc(bindings, s.isOwn) && !yield(aor, bindings) {
				return
			}
		}
	}
}

func (s *Store) isOwn(b location.Binding) bool { return b.Node == s.node }

// remembered yields what this node saw last, as far as it is valid.
func (s *Store) remembered() iter.Seq2[sipuri.AOR, []location.Binding] {
	return func(yield func(sipuri.AOR, []location.Binding) bool) {
		for aor, bindings := range s.seen.All() {
			if valid := s.at(time.Now(), bindings); len(valid) > 0 && !yield(aor, valid) {
				return
			}
		}
	}
}

// Count counts the AORs that this node remembers, and their bindings: those that it
// served last, not all that are in Redis.
func (s *Store) Count() (aors, bindings int) { return s.seen.Count() }
