package registrar

import (
	"time"

	"sipregd/internal/sipuri"
)

// Carries tells whether a binding is reached over a connection, or may be: of those with
// very many AORs it is not known which these are, and of none that the location service
// does not tell of.
func (r *Registrar) Carries(stream uint64, now time.Time) bool {
	aors := r.flows.over(stream)
	if len(aors) >= maxBoundAORs {
		return true
	}
	for _, aor := range aors {
		bindings, stale := r.Lookup(aor, now)
		if stale {
			return true
		}
		for _, b := range bindings {
			if r.isOver(stream, &b) {
				return true
			}
		}
	}
	return false
}

// over returns the addresses-of-record that were bound over a connection.
func (f *flows) over(stream uint64) (aors []sipuri.AOR) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if flow := f.bound[stream]; flow != nil {
		for aor := range flow.aors {
			aors = append(aors, aor)
		}
	}
	return aors
}
