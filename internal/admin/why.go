package admin

import (
	"cmp"
	"net/http"
	"slices"
	"time"

	"sipregd/internal/admin/api"
	"sipregd/internal/diagnosis"
	"sipregd/internal/journal"
	"sipregd/internal/location"
	"sipregd/internal/peers"
	"sipregd/internal/qualify"
)

// lookBack is how many events of each class are looked at for a question.
const lookBack = 5000

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	l, end := s.begin(r)
	defer end()
	result := s.why(l, r.URL.Query().Get("q"), limit)
	if !l.hasEnded(w) {
		answer(w, http.StatusOK, result)
	}
}

// why returns what is registered under a name and its last attempts, or the last
// failures of everybody where it is empty.
func (s *Server) why(l *lookups, name string, limit int) api.Why {
	s.searching.Lock()
	defer s.searching.Unlock()
	directory := s.Daemon.Directory()
	result := api.Why{Query: name, Registered: l.registered(name, directory), Attempts: []api.Attempt{}}
	l.lookAround()
	result.Stale = l.stale
	events, asked := s.eventsOf(name, directory)
	attempts, underWay := s.attempts(l, events, asked, name == "", directory)
	for i := range attempts[:min(len(attempts), limit)] {
		result.Attempts = append(result.Attempts, attemptOf(&attempts[i]))
	}
	switch {
	case s.Forgets:
		result.Note = diagnosis.Forgetful()
	case underWay && name != "":
		result.Note = diagnosis.UnderWay()
	case len(attempts) == 0 && len(events) > 0 && name != "":
		result.Note = diagnosis.NotYet(name)
	case len(attempts) == 0:
		result.Note = diagnosis.Nothing(name, directory, len(result.Registered) > 0, s.wholeSince())
	}
	return result
}

// attempts returns what the events tell that are asked for: all, or what has failed.
func (s *Server) attempts(l *lookups, events []journal.Event, asked func(*journal.Event) bool, justFailed bool,
	directory *peers.Directory) (attempts []diagnosis.Attempt, underWay bool) {
	attempts, underWay = diagnosis.Attempts(events, asked, directory, s.Clock())
	lifted := l.settle(attempts)
	attempts = slices.DeleteFunc(attempts, func(a diagnosis.Attempt) bool {
		return justFailed && !a.Failed || a.Event.Reason == journal.Banned && !a.Failed && len(attempts) > lifted
	})
	return attempts, underWay
}

// slowedTime is longer than that between two events of a source that is slowed.
const slowedTime = 2 * time.Minute

// settle takes down which failures are over: bans that were lifted, sources that are
// slowed no more, phones that have come back or that were called in vain, and bindings that can be reached again or are gone. It returns how many bans those are.
func (l *lookups) settle(attempts []diagnosis.Attempt) (lifted int) {
	for i := range attempts {
		a := &attempts[i]
		switch {
		case a.Event.Reason == journal.Banned && !l.server.Guard.KeepsOut(a.Event.Source.Addr(), l.now):
			a.Settle()
			lifted++
		case a.Event.Reason == journal.TooManyRequests && l.now.Sub(a.Event.Time) > slowedTime:
			a.Settle()
		case a.Event.Kind == journal.Expired && l.has(&a.Event, func(b *location.Binding) bool { return b.Authname == a.Event.Authname }):
			a.Settle()
		case a.Event.Reason == journal.NotRegistered && l.has(&a.Event, func(*location.Binding) bool { return true }):
			a.Settle()
		case a.Event.Kind == journal.Unreachable && !l.isUnreachable(&a.Event):
			a.Settle()
		}
	}
	return lifted
}

// has tells whether the AOR of an event has such a binding, so far as is known.
func (l *lookups) has(e *journal.Event, isWanted func(*location.Binding) bool) bool {
	bindings, _ := l.of(e.AOR)
	for i := range bindings {
		if isWanted(&bindings[i]) {
			return true
		}
	}
	return false
}

// isUnreachable tells whether the binding of an event is there and unreachable still. One that
// may be there for all that is known is.
func (l *lookups) isUnreachable(e *journal.Event) bool {
	if l.server.Qualifier == nil {
		return false
	}
	status, _ := l.server.Qualifier.Status(e.Binding)
	if status.State != qualify.Unreachable {
		return false
	}
	bindings, stale := l.of(e.AOR)
	return stale || slices.ContainsFunc(bindings, func(b location.Binding) bool { return b.ID == e.Binding })
}

// eventsOf returns the last events of a name, of the bans that may concern it, and
// what came of its challenges; and which are asked for.
func (s *Server) eventsOf(name string, directory *peers.Directory) (events []journal.Event, asked func(*journal.Event) bool) {
	if name == "" {
		return s.Recorder.Last(journal.NewFilter(""), lookBack), func(*journal.Event) bool { return true }
	}
	events = s.Recorder.Last(journal.NewFilter(name).Or(diagnosis.Concerns(name, directory)), lookBack)
	events = append(events, s.Recorder.Last(journal.NewFilter("", journal.Refused).Or(diagnosis.Bans(events)), lookBack)...)
	isAsked := map[uint64]bool{}
	for i := range events {
		isAsked[events[i].Seq] = true
	}
	events = append(events, s.Recorder.Last(journal.NewFilter("").Or(diagnosis.Follow(events)), lookBack)...)
	slices.SortFunc(events, func(a, b journal.Event) int { return cmp.Compare(b.Seq, a.Seq) })
	events = slices.CompactFunc(events, func(a, b journal.Event) bool { return a.Seq == b.Seq })
	return events, func(e *journal.Event) bool { return isAsked[e.Seq] }
}

// wholeSince returns the time since when all that matters is remembered.
func (s *Server) wholeSince() time.Time {
	since := s.Daemon.Stats().Started
	if whole := s.Recorder.WholeSince(); whole.After(since) {
		return whole
	}
	return since
}

func attemptOf(a *diagnosis.Attempt) api.Attempt {
	return api.Attempt{
		Event: eventOf(&a.Event), Failed: a.Failed, Times: a.Times,
		Cause: readable(a.Cause), Cure: readable(a.Cure), Where: a.Where,
	}
}
