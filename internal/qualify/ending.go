package qualify

import (
	"fmt"
	"time"

	"sipregd/internal/journal"
	"sipregd/internal/location"
)

// ending is what came of asking: an answer, or why there was none.
type ending struct {
	answers bool
	trip    time.Duration // until the answer
	reason  journal.Reason
	detail  string
}

func answered(trip time.Duration) *ending {
	milliseconds := float64(trip) / float64(time.Millisecond)
	return &ending{answers: true, trip: trip, detail: fmt.Sprintf("it answers, after %.1f ms", milliseconds)}
}

func unanswered(after time.Duration) *ending {
	return &ending{reason: journal.NoAnswer, detail: fmt.Sprintf("no answer to OPTIONS for %.0f s", after.Seconds())}
}

func connectionGone() *ending {
	return &ending{reason: journal.StreamGone, detail: "its connection is gone"}
}

// eventOf says that a phone has become reachable or unreachable. It has no Call-ID: it is
// not what came of a request of the phone's.
func eventOf(e *entry, b *location.Binding, end *ending, now time.Time) journal.Event {
	kind := journal.Unreachable
	if end.answers {
		kind = journal.Reachable
	}
	return journal.Event{
		Time: now, Kind: kind, Reason: end.reason, Detail: end.detail, Source: b.Source, Transport: b.Transport,
		Authname: b.Authname, Label: b.Label, AOR: e.aor, Binding: b.ID, Contact: b.Contact, UserAgent: b.UserAgent,
	}
}
