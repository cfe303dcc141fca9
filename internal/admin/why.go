package admin

import (
	"net/http"

	"sipregd/internal/admin/api"
	"sipregd/internal/diagnosis"
	"sipregd/internal/journal"
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
	result := api.Why{Query: name, Attempts: []api.Attempt{}}
	directory, now := s.Daemon.Directory(), s.Clock()
	events := s.Recorder.Last(journal.NewFilter(name), lookBack)
	for _, attempt := range diagnosis.Attempts(events, directory, now) {
		if len(result.Attempts) == limit {
			break
		}
		if attempt.Failed || name != "" {
			result.Attempts = append(result.Attempts, attemptOf(&attempt))
		}
	}
	if len(result.Attempts) == 0 {
		registered := len(s.Store.Bindings(directory.ReadAOR(name), now)) > 0
		result.Note = diagnosis.Nothing(name, directory, registered, s.Daemon.Stats().Started)
	}
	return result
}

func attemptOf(a *diagnosis.Attempt) api.Attempt {
	return api.Attempt{
		Event: eventOf(&a.Event), Failed: a.Failed, Times: a.Times,
		Cause: readable(a.Cause), Cure: readable(a.Cure), Where: a.Where,
	}
}
