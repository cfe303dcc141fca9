package admin

import (
	"cmp"
	"net/http"
	"slices"

	"sipregd/internal/admin/api"
	"sipregd/internal/diagnosis"
	"sipregd/internal/journal"
	"sipregd/internal/peers"
)

// lookBack is how many events of each class are looked at for a question.
const lookBack = 5000

func (s *Server) explain(w http.ResponseWriter, r *http.Request) {
	limit, err := limitOf(r)
	if err != nil {
		fail(w, http.StatusBadRequest, err.Error())
		return
	}
	answer(w, http.StatusOK, s.why(r.URL.Query().Get("q"), limit))
}

// why returns the last attempts of a name, or the last failures of everybody where
// it is empty.
func (s *Server) why(name string, limit int) api.Why {
	s.searching.Lock()
	defer s.searching.Unlock()
	result := api.Why{Query: name, Attempts: []api.Attempt{}}
	directory, now := s.Daemon.Directory(), s.Clock()
	events := s.eventsOf(name, directory)
	for _, attempt := range diagnosis.Attempts(events, directory, now) {
		if len(result.Attempts) == limit {
			break
		}
		if attempt.Failed || name != "" {
			result.Attempts = append(result.Attempts, attemptOf(&attempt))
		}
	}
	if len(result.Attempts) == 0 {
		result.Note = s.whyNone(name, directory, len(events) > 0)
	}
	return result
}

// eventsOf returns the last events of a name, and of the bans that may concern it.
func (s *Server) eventsOf(name string, directory *peers.Directory) []journal.Event {
	if name == "" {
		return s.Recorder.Last(journal.NewFilter(""), lookBack)
	}
	events := s.Recorder.Last(journal.NewFilter(name).Or(diagnosis.Concerns(name, directory)), lookBack)
	bans := s.Recorder.Last(journal.NewFilter("", journal.Refused).Or(diagnosis.Bans(events)), lookBack)
	events = append(events, bans...)
	slices.SortFunc(events, func(a, b journal.Event) int { return cmp.Compare(b.Seq, a.Seq) })
	return slices.CompactFunc(events, func(a, b journal.Event) bool { return a.Seq == b.Seq })
}

// whyNone says what it means that there is nothing to tell.
func (s *Server) whyNone(name string, directory *peers.Directory, haveCome bool) string {
	if haveCome && name != "" {
		return diagnosis.NotYet(name)
	}
	since := s.Daemon.Stats().Started
	if whole := s.Recorder.WholeSince(); whole.After(since) {
		since = whole
	}
	registered := len(s.Store.Bindings(directory.ReadAOR(name), s.Clock())) > 0
	return diagnosis.Nothing(name, directory, registered, since)
}

func attemptOf(a *diagnosis.Attempt) api.Attempt {
	return api.Attempt{
		Event: eventOf(&a.Event), Failed: a.Failed, Times: a.Times,
		Cause: readable(a.Cause), Cure: readable(a.Cure), Where: a.Where,
	}
}
