package registrar

import (
	"slices"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/sipuri"
)

// Remove removes the bindings of an AOR that have those IDs for the administrator:
// two may have one Contact. It returns how many were removed.
func (r *Registrar) Remove(aor sipuri.AOR, ids []uint64, now time.Time) (removed int, err error) {
	return r.removeWhere(aor, journal.ByAdministrator, now, func(b *location.Binding) bool {
		return slices.Contains(ids, b.ID)
	})
}

// removeWhere removes the bindings of an AOR that unwanted picks, for that reason.
func (r *Registrar) removeWhere(aor sipuri.AOR, reason journal.Reason, now time.Time,
	unwanted func(*location.Binding) bool) (removed int, err error) {
	var ended []location.Binding
	err = r.location.Update(aor, now, func(current []location.Binding) (kept []location.Binding, err error) {
		ended = ended[:0]
		for i := range current {
			if unwanted(&current[i]) {
				ended = append(ended, current[i])
			} else {
				kept = append(kept, current[i])
			}
		}
		return kept, nil
	}, func(expired []location.Binding) {
		r.recordEnds(journal.Expired, journal.NoLongerRefreshed, aor, expired)
		r.recordEnds(journal.Removed, reason, aor, ended)
	})
	if err != nil {
		return 0, err
	}
	return len(ended), nil
}

func (r *Registrar) recordEnds(kind journal.Kind, reason journal.Reason, aor sipuri.AOR, bindings []location.Binding) {
	for i := range bindings {
		r.journal.Record(bindingEvent(kind, reason, aor, &bindings[i]))
	}
}
